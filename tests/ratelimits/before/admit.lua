-- Admit one request to every window, a lease and a hold, or refuse it.
--
-- EPOCH   the epoch that the caller believes both stores to be in (docs/stores.md)
-- KEYS    1..7 as in state.lua, which is sent in front of this text, as is spend.lua.
-- ARGV    1 request id, 2 account, 3 subject
--         4 terms version, 5 credits, 6 credits version of the caller's snapshot
--         7 full, 8 floor: nano-dollars to hold, and the least that will do
--         9 stretch: 1 = between the two hold all there is, 0 = hold exactly the floor
--        10 lease in ms, 11 commit: 0 = only look, 12 draft of the usage event
--        13.. limits: rpm, 5h, daily, weekly, monthly, concurrent; 0 = no such limit
--        19 purse, 20 what it may spend in a UTC day, 21 in a month, 22 in its life (nano-dollars;
--           0 = no cap)
--        the last two: from when and until when the hold is right, in microseconds (0 = whenever)
-- Answer  {'outdated', now in microseconds}: the hold is not for this moment; reckon it anew.
--         {'stale'}: the snapshot is older than the account's terms; load it again.
--         {'cold'}: the account is not here, or was not made in this epoch: make it anew.
--         {'unseeded'}: what a capped purse has spent is not here, or was not counted for the account
--         as it is: seed it.
--         else state.lua's answer with status 'ok' or 'refused'. When several limits bind,
--         `binding` is the one that frees last: rpm, 5h, daily, weekly, monthly, concurrent,
--         spent_day, spent_month (a cap is reached), spent_life (only a higher cap helps), purse_hold (other requests hold what is left
--         below a cap), hold (other requests hold the money), balance (only a top-up helps) or
--         settled (this very request has already ended).
--
-- A refusal takes nothing: no window, no lease, no hold changes. Newer terms and credits are
-- adopted all the same; they are facts. With commit = 0, and for 'outdated', 'stale', 'cold' and
-- 'unseeded', nothing is written at all. Admitting an open request again answers its admission and takes nothing.
-- Unlimited requests a minute are not logged: the log would grow without a bound.

local CONCURRENT_WAIT, HOLD_WAIT = 1000, 2000 -- ms; nobody knows when another request ends

local request = ARGV[1]
local terms, credits, credits_version = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local full, floor, stretch = tonumber(ARGV[7]), tonumber(ARGV[8]), ARGV[9] == '1'
local commit = ARGV[11] == '1'
local rpm, concurrent = tonumber(ARGV[13]), tonumber(ARGV[18])
local capped = ARGV[20] ~= '0' or ARGV[21] ~= '0' or ARGV[22] ~= '0'

local record = redis.call('HMGET', REQUEST, 'state', 'hold')
local account = redis.call('HMGET', ACCOUNT,
  'terms', 'credits', 'credits_version', 'charged', 'held', 'seeded', 'epoch')
local known_terms, known_version = tonumber(account[1]) or 0, tonumber(account[3]) or 0
local charged, held = tonumber(account[4]) or 0, tonumber(account[5]) or 0

local logged, log_resets = read_log(rpm)
local active = read_active()

if record[1] then
  local balance = (tonumber(account[2]) or 0) - charged
  local again = record[1] == 'open'
  return answer(again and 'ok' or 'refused', again and '' or 'settled', 0,
    again and tonumber(record[2]) or 0, balance, held, active, logged, log_resets)
end
if micros < tonumber(ARGV[#ARGV - 1]) or ARGV[#ARGV] ~= '0' and micros >= tonumber(ARGV[#ARGV]) then
  return {'outdated', micros}
end
if not account[2] or account[7] ~= EPOCH then
  return {'cold'}
end
if terms < known_terms then
  return {'stale'}
end
local spend = capped and read_spend(SPEND, now)
if capped and not (spend and spend[3] and spend.of == account[6]) then
  return {'unseeded'}
end

if credits_version <= known_version then
  credits = tonumber(account[2])
elseif commit then
  redis.call('HSET', ACCOUNT, 'credits', ARGV[5], 'credits_version', ARGV[6])
end
if commit and terms > known_terms then
  redis.call('HSET', ACCOUNT, 'terms', ARGV[4])
end

local binding, wait = '', -1
local function bind(name, ms)
  if ms > wait then
    binding, wait = name, ms
  end
end

if rpm > 0 and logged >= rpm then
  bind('rpm', log_resets)
end
for i = 1, 4 do
  local limit = tonumber(ARGV[13 + i])
  if limit > 0 and used[i] >= limit then
    bind(NAMES[i], resets(i))
  end
end
if concurrent > 0 and active >= concurrent then
  bind('concurrent', CONCURRENT_WAIT)
end

local balance = credits - charged
local spendable = math.max(balance - held, 0)
local affordable, hold = spendable, full
for i = 1, spend and 3 or 0 do
  local cap = tonumber(ARGV[19 + i])
  if cap > 0 then
    local below = cap - spend[i].spent
    local free = math.max(below - spend[i].held, 0)
    if free < full and below < floor then
      bind('spent_' .. PERIODS[i], spend[i].resets > 0 and spend[i].resets or math.huge)
    elseif free < full and free < floor then
      bind('purse_hold', HOLD_WAIT)
    end
    affordable = math.min(affordable, free)
  end
end
if balance < 0 or balance < floor and spendable < full then
  bind('balance', math.huge)
elseif spendable < floor and spendable < full then
  bind('hold', HOLD_WAIT)
elseif affordable < full then
  hold = stretch and affordable or floor
end

local function report(status, why, ms, held_now, active_now)
  local told = answer(status, why, ms, status == 'ok' and hold or 0, balance, held_now, active_now,
    logged, log_resets)
  for i = 1, spend and 3 or 0 do
    local at = 3 * i + 16 -- behind state.lua's eighteen
    told[at], told[at + 1], told[at + 2] = spend[i].spent, spend[i].held, spend[i].resets
  end
  return told
end

if binding ~= '' then
  wait = wait == math.huge and 0 or wait
  return report('refused', binding, wait, held, active)
end
if not commit then
  return report('ok', '', 0, held, active)
end

if rpm > 0 then
  redis.call('ZREMRANGEBYSCORE', LOG, '-inf', int(micros - MINUTE))
  redis.call('ZADD', LOG, int(micros), request)
  redis.call('PEXPIRE', LOG, 60000)
  log_resets = logged == 0 and 60000 or log_resets
  logged = logged + 1
end
for i = 1, 4 do
  if since[i] then
    redis.call('HINCRBY', WINDOWS, NAMES[i] .. '.used', 1)
  else
    since[i] = now
    redis.call('HSET', WINDOWS, NAMES[i], int(now), NAMES[i] .. '.used', 1)
    redis.call('PEXPIRE', WINDOWS, int(LENGTHS[4])) -- by then every window has closed
  end
  used[i] = used[i] + 1
end
local deadline = int(now + tonumber(ARGV[10]))
redis.call('ZREMRANGEBYSCORE', LEASES, '-inf', int(now))
redis.call('ZADD', LEASES, deadline, request)
redis.call('ZADD', OPEN, deadline, request)
redis.call('HINCRBY', ACCOUNT, 'held', int(hold))
redis.call('HSET', REQUEST, 'state', 'open', 'account', ARGV[2], 'subject', ARGV[3],
  'hold', int(hold), 'seeded', account[6], 'cost', 0, 'draft', ARGV[12],
  '5h', int(since[1]), 'daily', int(since[2]), 'weekly', int(since[3]), 'monthly', int(since[4]),
  'purse', ARGV[19], 'epoch', EPOCH, 'at', int(micros))
if spend then
  for i = 1, 3 do
    add_spend(SPEND, i, spend[i], 0, hold)
  end
  redis.call('HSET', REQUEST, 'spend', spend.seeded,
    'spend.day', int(spend[1].id), 'spend.month', int(spend[2].id),
    'spend.life', int(spend[3].id))
end
return report('ok', '', 0, held + hold, active + 1)
