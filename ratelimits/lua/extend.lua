-- Raise the hold of an open request by one step, if the account can afford it.
--
-- KEYS    1 {s:NN}:acct:<account>, 2 {s:NN}:req:<request id> (both as in state.lua)
--         3 {s:NN}:spend:<purse> (as in spend.lua, which is sent in front of this text)
-- ARGV    1 hold: what the caller has, 2 step: what it wants on top (nano-dollars)
--         3 stretch: 1 = less than the step will do, 0 = all of it or nothing
--         4 what the purse may spend in a day, 5 in a month, 6 in its life (0 = no cap)
-- Answer  {granted on top of the caller's hold, hold, available: of the account, without caps}
--         or {'cold'}, {'unseeded'} as in admit.lua; then nothing changed
--
-- Idempotent: the caller says what it has, so a step granted to a lost call is granted again,
-- not taken again. Nothing is granted to a request that is no longer open, or whose hold is of a
-- time before the account's money or the purse was seeded, or of a period whose count is gone
-- because a newer one has begun. Granting nothing changes nothing.

local account = redis.call('HMGET', KEYS[1], 'credits', 'charged', 'held', 'seeded', 'epoch')
if account[5] ~= EPOCH then
  return {'cold'}
end
local record = redis.call('HMGET', KEYS[2], 'state', 'hold', 'seeded',
  'spend', 'spend.day', 'spend.month', 'spend.life')
local available = (tonumber(account[1]) or 0) - (tonumber(account[2]) or 0) - (tonumber(account[3]) or 0)
if record[1] ~= 'open' or record[3] ~= account[4] then
  return {0, 0, available}
end

local before, hold = tonumber(ARGV[1]), tonumber(record[2])
local wanted = before + tonumber(ARGV[2]) - hold
local affordable = available
local capped = ARGV[4] ~= '0' or ARGV[5] ~= '0' or ARGV[6] ~= '0'
if capped and redis.call('HGET', KEYS[3], 'of') ~= account[4] then
  return {'unseeded'}
end
if record[4] then
  for i = 1, 3 do
    local cap, name = tonumber(ARGV[3 + i]), PERIODS[i]
    if cap > 0 then
      local now = redis.call('HMGET', KEYS[3], 'seeded', name, name .. '.spent', name .. '.held')
      local counted = now[1] == record[4] and now[2] == record[4 + i]
      affordable = math.min(affordable, counted and cap - now[3] - now[4] or 0)
    end
  end
end
local more = math.max(math.min(wanted, affordable), 0)
if more < wanted and ARGV[3] ~= '1' then
  more = 0
end
if more > 0 then
  local by = string.format('%.0f', more)
  redis.call('HINCRBY', KEYS[1], 'held', by)
  redis.call('HINCRBY', KEYS[2], 'hold', by)
  for i = 1, record[4] and 3 or 0 do
    local now = redis.call('HMGET', KEYS[3], 'seeded', PERIODS[i])
    if now[1] == record[4] and now[2] == record[4 + i] then
      redis.call('HINCRBY', KEYS[3], PERIODS[i] .. '.held', by)
    end
  end
end
return {hold + more - before, hold + more, available - more}
