-- Put what a purse's overflow has spent into Redis, once.
--
-- KEYS    1 {s:NN}:overflow:<purse> (as in overflow.lua), 2 {s:NN}:usage (as in settle.lua), 3 {s:NN}:acct:<account>
--         then of each of the account's open requests request:<id>
-- ARGV    1 account, 2 id of the last event of the stream the caller saw ("0-0" = none)
--         3 the month and 4 what was spent past windows in it: in the database, and by the events up to
--           ARGV[2] which are not in it yet
--         5.. the ids of the keys whose overflow it is
-- Answer  1, or 0 if it was made under the account as it is; then nothing changed.
--
-- As seed_spend.lua: the caller keeps the database still, later events are added here, and what its
-- open requests hold is told from their records.

--@ clock
--@ request
--@ record
--@ calendar
local of = redis.call('HGET', KEYS[3], 'seeded') or ''
if redis.call('HGET', KEYS[1], 'of') == of then
  return 0
end
redis.call('DEL', KEYS[1])
local month = month_of(math.floor(now / DAY))
local spent = tonumber(ARGV[3]) == month and tonumber(ARGV[4]) or 0
local mine = {}
for i = 5, #ARGV do
  mine[ARGV[i]] = true
end
-- When a request of these keys began that went past a window (ms), told from its event; nil of any other.
local function began_past(text)
  local readable, event = pcall(cjson.decode, text)
  local told = readable and type(event) == 'table' and event or {}
  local key, began, details = tonumber(told[4]), tonumber(told[10]), told[13] -- after its version, as it is packed
  if key and began and mine[string.format('%d', key)] and type(details) == 'table' and details.overflow then
    return began * 1000
  end
end
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '(' .. ARGV[2], '+')) do
  local fields = entry[2] -- account, its number, cost, its amount, event, its JSON
  local began = fields[2] == ARGV[1] and began_past(fields[6])
  if began and month_of(math.floor(began / DAY)) == month then
    spent = spent + tonumber(fields[4])
  end
end
for i = 4, #KEYS do
  local record = redis.call('GET', KEYS[i])
  if record and record ~= ENDED then
    local _, hold = struct.unpack(RECORD, record)
    if began_past(string.sub(record, RECORD_BYTES + #before_draft(record) + 1)) then
      redis.call('HSET', KEYS[1], 'o' .. string.match(KEYS[i], ':request:(.*)$'), string.format('%d', hold))
    end
  end
end
redis.call('HSET', KEYS[1], 'of', of, 'month', string.format('%d', month), 'spent', string.format('%d', spent))
redis.call('PEXPIRE', KEYS[1], 3024000000) -- 35 days: longer than a month lasts
return 1
