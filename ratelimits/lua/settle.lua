-- End one request: free its lease and its hold, charge its true cost, append its usage event.
--
-- KEYS    1..6 as in state.lua, and
--         7 {s:NN}:usage  stream of usage events: account, cost, event
--         of a member's key also 8 {s:NN}:spend:<the member's purse>
--         of a guarded purse also its three keys (guard.lua)
--         of one that was admitted past a window also, last, {s:NN}:overflow:<purse> (overflow.lua)
-- ARGV    1 request id, 2 account, 3 cost in nano-dollars (all of it is charged, also above the
--         hold), 4 usage event (JSON; empty = none, only with cost 0)
--         5 a number of 8 bytes and three flags of one, packed: limit of requests a minute (for the answer);
--         giveback: 1 = the call never reached generation, so it leaves every window again, 2 = so it leaves
--         the minute: it was past a window, and no other counts it;
--         only_if_expired: 1 = the reaper asks; a request whose deadline is ahead is left alone;
--         failed: 1 = by no fault of its client's: what was asked was not answered
--         6 how many keys of a guard there are: 3, 0 or not said
--         7 1 = it was admitted past a window, or not said
-- Answer  state.lua's, with status
--         settled  done, now;
--         already  it had been settled; nothing changed;
--         alive    only_if_expired, and it is; nothing changed;
--         unknown  there is no such request: Redis lost it while it ran, or it was settled so long ago
--                  that its marker is gone, and nobody heard the answer. The event is appended and the cost
--                  charged all the same, and a marker left; and because only the books can tell whether it
--                  was charged before, the account is made anew before its next request. (The reaper,
--                  who knows requests only from Redis, changes nothing.)
--
-- Where the account's money is not seeded nothing is charged: seed.lua will count the event. A
-- hold taken before the money was last seeded is not in `held`, so it is not taken out of it.
-- A purse whose spending is counted here (it has, or had, a cap) is charged in the periods the request
-- was admitted in, if they last; a request that was not counted before, in those of this moment.
-- A given-back request leaves a window only if that is still the one it was counted in: the one that
-- had opened when it was admitted. A window it leaves empty is closed, as if it had never opened.
-- What is left of a settled record is the marker that makes all this happen once: two minutes for those
-- who settle and lost our answer; a day if the reaper was first or the request unknown, because
-- its process may be alive and late, or its admission still on the way.

--@ clock
--@ request
--@ state
--@ subject
local MARKER, LONG_MARKER = '120000', '86400000' -- ms
local SETTLED, ALREADY, ALIVE, UNKNOWN = 6, 7, 8, 9
local request, cost, event = ARGV[1], tonumber(ARGV[3]), ARGV[4]
local rpm, giveback, reaping, failed = struct.unpack('>i8BBB', ARGV[5])
reaping = reaping == 1
local guards, past = tonumber(ARGV[6]) or 0, ARGV[7] and 1 or 0
local unanswered = giveback > 0 or failed == 1

local account = redis.call('HMGET', ACCOUNT, 'credits', 'charged', 'held', 'seeded')
local credits, charged = tonumber(account[1]), tonumber(account[2]) or 0
local held = tonumber(account[3]) or 0
local status = record and SETTLED or UNKNOWN
if event == '' and cost ~= 0 then
  return redis.error_reply('ERR a cost needs a usage event')
elseif ended then
  status = ALREADY
elseif reaping and record then
  local deadline = tonumber(redis.call('ZSCORE', RUNNING, request))
  status = deadline and deadline > now and ALIVE or SETTLED
end

if status == SETTLED or status == UNKNOWN and not reaping then
  local hold, seeded, at, lease, counted, day, month, _ = 0, 0, 0, 0, 0, 0, 0, nil
  if record then
    _, hold, _, seeded, at, lease, counted, day, month = struct.unpack(RECORD, record)
  end
  redis.call('ZREM', RUNNING, request)
  if at > 0 then
    if giveback > 0 then
      if at > after then
        --@ unlog
      end
      local admitted = math.floor(at / 1000)
      for i = 1, giveback == 1 and 7 or 0, 2 do
        if windows[i] > 0 and windows[i] <= admitted then
          windows[i + 1] = windows[i + 1] - 1
          if windows[i + 1] <= 0 then
            windows[i], windows[i + 1] = 0, 0
          end
        end
      end
    end
    --@ unlease
    --@ keep
  end

  local spend, fresh, purse
  if counted ~= 0 or redis.call('EXISTS', PURSE) == 1 then
    --@ purse
  end
  if spend then
    local counts, more = {true, true, true}, counted == tonumber(purse[1]) and -hold or 0
    if counted ~= 0 then
      counts = {day == spend[1][1], month == spend[2][1], true}
    end
    --@ keep_purse
  end
  if #KEYS - guards - past >= 8 then
    local PURSE, spend, fresh, purse = KEYS[8]
    --@ purse
    if spend then
      local open = redis.call('HGET', PURSE, 'open.' .. request)
      local counts, more = {true, true, true}, 0
      if open then
        redis.call('HDEL', PURSE, 'open.' .. request)
        counts, more = {day == spend[1][1], tonumber(open) == spend[2][1], true}, -hold
      end
      --@ keep_purse
    end
  end

  if guards > 0 then
    --@ guard_settled
  end
  if past > 0 then
    --@ overflow_settled
  end

  local freed = hold ~= 0 and tonumber(account[4]) == seeded and hold or 0
  if credits and charged + cost < 9007199254740992 then -- beyond it Lua's numbers are not exact
    if cost ~= 0 or freed ~= 0 then
      redis.call('HSET', ACCOUNT, 'charged', string.format('%d', charged + cost),
        'held', string.format('%d', held - freed))
    end
  elseif credits then
    redis.call('HINCRBY', ACCOUNT, 'charged', ARGV[3])
    redis.call('HINCRBY', ACCOUNT, 'held', string.format('%d', -freed))
  end
  if status == UNKNOWN and cost ~= 0 then
    redis.call('HDEL', ACCOUNT, 'epoch')
  end
  charged, held = charged + (credits and cost or 0), held - freed
  if event ~= '' then
    redis.call('XADD', KEYS[7], '*', 'account', ARGV[2], 'cost', ARGV[3], 'event', event)
  end
  redis.call('SET', REQUEST, ENDED, 'PX', (reaping or not record) and LONG_MARKER or MARKER)
end
--@ frees
return struct.pack(ANSWER, status, 0, 0, 0, (credits or 0) - charged, held, micros, active, logged, frees,
  windows[1], windows[2], windows[3], windows[4], windows[5], windows[6], windows[7], windows[8])
