-- Admit one request to every window, a lease and a hold, or refuse it.
--
-- EPOCH   the epoch that the caller believes both stores to be in (docs/stores.md)
-- KEYS    1..6 as in state.lua; 7 request:<batch> if it is one of a batch's (earmark.lua)
--         of one past a window then {s:NN}:overflow:<purse> (overflow.lua); it is none of a batch's
--         of a guarded purse then its three keys (guard.lua)
--         where a member's spending is capped too, last: {s:NN}:spend:<their purse>
-- ARGV    1 request id, 2 numbers of 8 bytes and two flags of one, packed:
--           1 terms version, 2 credits version of the caller's snapshot
--           3 full, 4 floor: nano-dollars to hold, and the least that will do
--           5 lease in ms
--           6.. limits: rpm, 5h, daily, weekly, monthly, concurrent; 0 = no such limit
--           12 what the purse may spend in a UTC day, 13 in a month, 14 in its life (nano-dollars;
--              0 = no cap)
--           15, 16 from when and until when the hold is right, in microseconds (0 = whenever)
--           17 when the windows were last reset, in ms (0 = never): one that opened before is closed
--           18 stretch: 1 = between full and floor hold all there is, 0 = hold exactly the floor
--           19 commit: 0 = only look
--         3 credits of the snapshot, 4 the rest of the record (request.lua)
--         5 of a batch's: how much of its hold is taken out of what is set aside for the batch, if that is
--           there; it is as good as free money to this request, and to no other
--         6 of a capped member: what their purse may spend in a day, a month and its life, packed; then
--           5 is empty where there is no batch
--         7 of a guarded purse: dollars in ten minutes, how often a prompt, a session's budget (0 = not),
--           packed; then 5 and 6 are empty where they are not
--         8 of one past a window: what the purse's overflow may spend in a UTC month, packed. No window refuses
--           it, and none counts it; then 5 to 7 are empty where they are not
-- Answer  {outdated, now in microseconds}: the hold is not for this moment; reckon it anew.
--         {stale}: the snapshot is older than the account's terms; load it again.
--         {cold}: the account is not here, or was not made in this epoch, or not by this release: make it anew.
--         {unseeded}: what a capped purse has spent is not here, or was not counted for the account
--         as it is: seed it.
--         {inside}: it asked to go past a window, and none is full: ask as any other.
--         (packed: the status in one byte, and `now` in eight.)
--         else state.lua's answer with status ok or refused. When several limits bind,
--         `binding` is the one that frees last: rpm, 5h, daily, weekly, monthly, concurrent,
--         spent_day, spent_month (a cap is reached), spent_life (only a higher cap helps), purse_hold (other requests hold what is left
--         below a cap), member_day, member_month, member_life, member_hold (the same of the
--         member's purse), hold (other requests hold the money), balance (only a top-up helps) or
--         brake_spend, brake_loop, session_budget (the guard's), brake_on_hold, session_on_hold (other
--         requests hold what it leaves), overflow_month, overflow_hold (the same of the overflow's cap) or settled (this very request has already ended).
--
-- A refusal takes nothing: no window, no lease, no hold changes. Newer terms and credits are
-- adopted all the same; they are facts. With commit = 0, and for outdated, stale, cold,
-- unseeded and inside, nothing is written at all. Admitting an open request again answers its admission and takes nothing.
-- Unlimited requests a minute are not logged: the log would grow without a bound.

--@ clock
--@ request
--@ state
--@ subject
local CONCURRENT_WAIT, HOLD_WAIT = 1000, 2000 -- ms; nobody knows when another request ends
local OK, OUTDATED, STALE, COLD, UNSEEDED, REFUSED, INSIDE = 0, 1, 2, 3, 4, 5, 10
-- Bindings: 0 none, 1 rpm, 2.. windows, and
local CONCURRENT, HOLD, BALANCE, SETTLED, SPENT, PURSE_HOLD = 6, 7, 8, 9, 10, 13 -- SPENT in a day, a month, a life
local MEMBER_SPENT, MEMBER_HOLD = 14, 17
local BRAKE_SPEND, BRAKE_ON_HOLD, BRAKE_LOOP, SESSION_BUDGET, SESSION_ON_HOLD = 18, 19, 20, 21, 22
local OVERFLOW_SPENT, OVERFLOW_HOLD = 23, 24

local ask = {struct.unpack('>i8i8i8i8i8i8i8i8i8i8i8i8i8i8i8i8i8BB', ARGV[2])}
local terms, full, floor, stretch, commit = ask[1], ask[3], ask[4], ask[18] == 1, ask[19] == 1
local rpm, concurrent = ask[6], ask[11]
local capped = ask[12] ~= 0 or ask[13] ~= 0 or ask[14] ~= 0
local past = ARGV[8] and {spent = 0, held = 0, full = false}
local member_caps = ARGV[6] and ARGV[6] ~= '' and {struct.unpack('>i8i8i8', ARGV[6])}
local reset = ask[17]
if reset > 0 then
  for i = 1, 7, 2 do
    if windows[i] < reset then
      windows[i], windows[i + 1] = 0, 0
    end
  end
end
--@ frees

local account = redis.call('HMGET', ACCOUNT,
  'terms', 'credits', 'credits_version', 'charged', 'held', 'seeded', 'epoch')
local known_terms, known_version = tonumber(account[1]) or 0, tonumber(account[3]) or 0
local charged, held = tonumber(account[4]) or 0, tonumber(account[5]) or 0

if record then
  local hold = ended and 0 or select(2, struct.unpack(RECORD, record))
  return struct.pack(ANSWER, ended and REFUSED or OK, ended and SETTLED or 0, 0, hold,
    (tonumber(account[2]) or 0) - charged, held, micros, active, logged, frees,
    windows[1], windows[2], windows[3], windows[4], windows[5], windows[6], windows[7], windows[8])
end
if micros < ask[15] or ask[16] ~= 0 and micros >= ask[16] then
  return struct.pack('>Bi8', OUTDATED, micros)
end
if not account[2] or account[7] ~= EPOCH or string.find(account[6], '.', 1, true) then
  return string.char(COLD)
end
if terms < known_terms then
  return string.char(STALE)
end

if commit and rpm > 0 and tails ~= '' and struct.unpack('>i8', tails, #tails - 7) > micros then
  -- The clock was set back: what is ahead of it happened no later than now. Kept even of a refusal, for
  -- whoever is at his limit would else be refused until the clock is there again.
  --@ minute
  local times = entries()
  for i, at in ipairs(times) do
    times[i] = math.min(at, micros)
  end
  relog(times)
  --@ keep
  frees = math.min(frees, micros)
end

local binding, wait = 0, -1
if rpm > 0 and logged >= rpm then
  binding, wait = 1, math.ceil(math.min(frees + MINUTE - micros, MINUTE) / 1000)
end
for i = 1, 4 do
  local limit, since = ask[6 + i], windows[2 * i - 1]
  if limit > 0 and windows[2 * i] >= limit and past then
    past.full = true
  elseif limit > 0 and windows[2 * i] >= limit then
    -- A clock set back must not promise a reset further away than the window is long.
    local ms = math.min(since + LENGTHS[i] - now, LENGTHS[i])
    if ms > wait then
      binding, wait = 1 + i, ms
    end
  end
end
if past and not past.full then
  return string.char(INSIDE)
end
if concurrent > 0 and active >= concurrent and CONCURRENT_WAIT > wait then
  binding, wait = CONCURRENT, CONCURRENT_WAIT
end

local credits = ask[2] > known_version and tonumber(ARGV[3]) or tonumber(account[2])
local balance = credits - charged
local drawn, earmark = 0, nil
if ARGV[5] and ARGV[5] ~= '' then
  --@ drawn
end
local spendable = math.max(balance - held + drawn, 0)
local affordable, hold = spendable, full
local spend, fresh, purse
if capped then
  --@ purse
  if not spend or not spend[3] or purse[2] ~= account[6] then
    return string.char(UNSEEDED)
  end
  local caps, spent, on_hold = {ask[12], ask[13], ask[14]}, SPENT, PURSE_HOLD
  --@ caps
end
local member
if member_caps then
  local PURSE, caps, spent, on_hold = KEYS[#KEYS], member_caps, MEMBER_SPENT, MEMBER_HOLD
  local spend, fresh, purse
  --@ purse
  if not spend or purse[2] ~= account[6] then
    return string.char(UNSEEDED)
  end
  --@ caps
  member = {spend, fresh, purse}
end
if past then
  --@ overflow
end
local BRAKE, LOOP, SESSION
if ARGV[7] and ARGV[7] ~= '' then
  local last = #KEYS - (member_caps and 1 or 0)
  BRAKE, LOOP, SESSION = KEYS[last - 2], KEYS[last - 1], KEYS[last]
  --@ guard
end
if balance < 0 or balance < floor and spendable < full then
  if wait < math.huge then
    binding, wait = BALANCE, math.huge
  end
elseif spendable < floor and spendable < full then
  if HOLD_WAIT > wait then
    binding, wait = HOLD, HOLD_WAIT
  end
elseif affordable < full then
  hold = stretch and affordable or floor
end

if commit and ask[2] > known_version then
  redis.call('HSET', ACCOUNT, 'credits', ARGV[3], 'credits_version', string.format('%d', ask[2]))
end
if commit and terms > known_terms then
  redis.call('HSET', ACCOUNT, 'terms', string.format('%d', terms))
end
if binding == 0 and commit then
  if rpm > 0 then
    if #tails == CHUNK then
      if taken < 0 then
        redis.call('DEL', LOG)
        taken = 0
      end
      redis.call('RPUSH', LOG, tails)
      redis.call('PEXPIRE', LOG, MINUTE / 1000)
      between, tails = between + CHUNK / 8, ''
    end
    frees = logged == 0 and micros or frees
    tails, logged = tails .. struct.pack('>i8', micros), logged + 1
  end
  for i = 1, past and 0 or 7, 2 do
    if windows[i] == 0 then
      windows[i] = now
      -- By then every window has closed, a week's that opened just before the month's closed too, and
      -- every request of then has had to ask for its lease again.
      expires = i == 7 and LENGTHS[4] + LENGTHS[3] or expires
    end
    windows[i + 1] = windows[i + 1] + 1
  end
  if past then -- the month may not be open, and so say nothing of when all this is over
    expires = LENGTHS[4] + DAY_MS
  end
  local length = ask[5]
  --@ lease
  --@ keep
  if drawn > 0 then
    drawn = math.min(drawn, hold)
    --@ draw
  end
  held = held + hold - drawn
  if hold ~= drawn then
    redis.call('HINCRBY', ACCOUNT, 'held', string.format('%d', hold - drawn))
  end
  if capped then
    local counts, cost, more = {true, true, true}, 0, hold
    --@ keep_purse
  end
  if member then
    local PURSE, spend, fresh = KEYS[#KEYS], member[1], member[2]
    local counts, cost, more = {true, true, true}, 0, hold
    --@ keep_purse
    redis.call('HSET', PURSE, 'open.' .. ARGV[1], string.format('%d', spend[2][1]))
  end
  if BRAKE then
    --@ guard_admitted
  end
  if past then
    --@ overflow_admitted
  end
  redis.call('ZADD', RUNNING, deadline, ARGV[1])
  redis.call('SET', REQUEST, struct.pack(RECORD, 1, hold, 0, tonumber(account[6]), micros, deadline,
    capped and tonumber(purse[1]) or 0, math.floor(now / DAY_MS), capped and spend[2][1] or 0) .. string.char(#EPOCH) .. EPOCH .. ARGV[4])
end
local answer = struct.pack(ANSWER, binding == 0 and OK or REFUSED, binding,
  (binding == 0 or wait == math.huge) and 0 or wait, binding == 0 and hold or 0,
  balance, held, micros, active, logged, frees,
  windows[1], windows[2], windows[3], windows[4], windows[5], windows[6], windows[7], windows[8])
if capped then
  answer = answer .. struct.pack('>i8i8i8i8i8i8', spend[1][2], spend[1][3], spend[2][2], spend[2][3],
    spend[3][2], spend[3][3])
end
if past then
  answer = answer .. struct.pack('>i8i8', past.spent, past.held)
end
if member then
  local theirs = member[1]
  answer = answer .. struct.pack('>i8i8i8i8i8i8', theirs[1][2], theirs[1][3], theirs[2][2], theirs[2][3],
    theirs[3][2], theirs[3][3])
end
return answer
