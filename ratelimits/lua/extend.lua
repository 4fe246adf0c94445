-- Raise the hold of an open request by one step, if the account can afford it.
--
-- KEYS    1 {s:NN}:acct:<account>, 2 {s:NN}:req:<request id> (both as in state.lua)
-- ARGV    1 hold: what the caller has, 2 step: what it wants on top (nano-dollars)
--         3 stretch: 1 = less than the step will do, 0 = all of it or nothing
-- Answer  {granted on top of the caller's hold, hold, available}
--
-- Idempotent: the caller says what it has, so a step granted to a lost call is granted again,
-- not taken again. Nothing is granted to a request that is no longer open, or whose hold is of a
-- time before the account's money was seeded. Granting nothing changes nothing.

local account = redis.call('HMGET', KEYS[1], 'credits', 'charged', 'held', 'seeded')
local record = redis.call('HMGET', KEYS[2], 'state', 'hold', 'seeded')
local available = (tonumber(account[1]) or 0) - (tonumber(account[2]) or 0) - (tonumber(account[3]) or 0)
if record[1] ~= 'open' or record[3] ~= account[4] then
  return {0, 0, available}
end

local before, hold = tonumber(ARGV[1]), tonumber(record[2])
local wanted = before + tonumber(ARGV[2]) - hold
local more = math.max(math.min(wanted, available), 0)
if more < wanted and ARGV[3] ~= '1' then
  more = 0
end
if more > 0 then
  local by = string.format('%.0f', more)
  redis.call('HINCRBY', KEYS[1], 'held', by)
  redis.call('HINCRBY', KEYS[2], 'hold', by)
end
return {hold + more - before, hold + more, available - more}
