-- End one request: free its lease and its hold, charge its true cost, append its usage event.
--
-- KEYS    1..7 as in state.lua, which is sent in front of this text, as is spend.lua, and
--         8 {s:NN}:usage  stream of usage events: account, cost, event
-- ARGV    1 request id, 2 account, 3 cost in nano-dollars (all of it is charged, also above the
--         hold), 4 usage event (JSON; empty = none, only with cost 0)
--         5 giveback: 1 = the call never reached generation, so it leaves every window again
--         6 only_if_expired: 1 = the reaper asks; a request whose deadline is ahead is left alone
--         7 limit of requests a minute (for the answer)
-- Answer  state.lua's, with status
--         'settled'  done, now;
--         'already'  it had been settled; nothing changed;
--         'alive'    only_if_expired, and it is; nothing changed;
--         'unknown'  there is no such request: Redis lost it while it ran. The event is appended and
--                    the cost charged all the same, once, and a marker left. (The reaper, who knows
--                    requests only from Redis, changes nothing.)
--
-- Where the account's money is not seeded nothing is charged: seed.lua will count the event. A
-- hold taken before the money was last seeded is not in `held`, so it is not taken out of it.
-- A purse whose spending is counted here (it has, or had, a cap) is charged in the periods the request
-- was admitted in, if they last; a request that was not counted before, in those of this moment.
-- A given-back request leaves a window only if that is still the one it was counted in; a
-- window it leaves empty is closed, as if it had never opened.
-- The settled record stays as the marker that makes all this happen once: two minutes for those
-- who settle and lost our answer; a day if the reaper was first or the request unknown, because
-- its process may be alive and late, or its admission still on the way.

local MARKER, LONG_MARKER = 120000, 86400000 -- ms

local request, cost, event = ARGV[1], tonumber(ARGV[3]), ARGV[4]
local reaping = ARGV[6] == '1'
local record = redis.call('HMGET', REQUEST,
  'state', 'hold', 'seeded', '5h', 'daily', 'weekly', 'monthly', 'spend', 'spend.day', 'spend.month', 'spend.life')
local account = redis.call('HMGET', ACCOUNT, 'credits', 'charged', 'held', 'seeded')
local credits, charged = tonumber(account[1]), tonumber(account[2]) or 0
local held = tonumber(account[3]) or 0

local function report(status)
  local logged, log_resets = read_log(tonumber(ARGV[7]))
  return answer(status, '', 0, 0, (credits or 0) - charged, held, read_active(), logged, log_resets)
end

if event == '' and cost ~= 0 then
  return redis.error_reply('ERR a cost needs a usage event')
end
if record[1] == 'settled' then
  return report('already')
end
if reaping then
  local deadline = tonumber(redis.call('ZSCORE', OPEN, request))
  if record[1] and deadline and deadline > now then
    return report('alive')
  end
  if not record[1] then
    return report('unknown')
  end
end

redis.call('ZREM', LEASES, request)
redis.call('ZREM', OPEN, request)
if record[1] and record[2] ~= '0' and record[3] == account[4] then
  held = held - tonumber(record[2])
  redis.call('HINCRBY', ACCOUNT, 'held', '-' .. record[2])
end

if record[1] and ARGV[5] == '1' then
  redis.call('ZREM', LOG, request)
  for i = 1, 4 do
    if since[i] == tonumber(record[3 + i]) then
      used[i] = used[i] - 1
      if used[i] > 0 then
        redis.call('HINCRBY', WINDOWS, NAMES[i] .. '.used', -1)
      else
        since[i] = nil
        redis.call('HDEL', WINDOWS, NAMES[i], NAMES[i] .. '.used')
      end
    end
  end
end

if redis.call('EXISTS', SPEND) == 1 then
  local spend = read_spend(SPEND, now)
  local held_here = record[8] == spend.seeded and tonumber(record[2]) or 0
  for i = 1, #spend do
    local counted = tonumber(record[8 + i])
    if (counted or spend[i].id) == spend[i].id then
      add_spend(SPEND, i, spend[i], cost, counted and -held_here or 0)
    end
  end
end

if credits then
  charged = charged + cost
  redis.call('HINCRBY', ACCOUNT, 'charged', ARGV[3])
end
if event ~= '' then
  redis.call('XADD', KEYS[8], '*', 'account', ARGV[2], 'cost', ARGV[3], 'event', event)
end

redis.call('HSET', REQUEST, 'state', 'settled', 'draft', '')
redis.call('PEXPIRE', REQUEST, (reaping or not record[1]) and LONG_MARKER or MARKER)
return report(record[1] and 'settled' or 'unknown')
