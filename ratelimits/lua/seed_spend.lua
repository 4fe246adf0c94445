-- Put what a purse has spent into Redis, once.
--
-- KEYS    1 {s:NN}:spend:<purse> (as in purse.lua), 2 {s:NN}:usage (as in settle.lua), 3 {s:NN}:acct:<account>
--         then of each of the account's open requests request:<id>, and req:<id>, its record if the
--         release before admitted it
-- ARGV    1 account, 2 id of the last event of the stream the caller saw ("0-0" = none)
--         3 the day and 4 what was spent in it, 5 the month and 6 what was spent in it, 7 what was
--           ever spent: in the database, and by the events up to ARGV[2] which are not in it yet
--         8.. the ids of the keys whose spending it is; of a member's purse also the names of the purses of
--           these keys: their open requests are its own
-- Answer  1, or 0 if it is there already, with a count of its life, and made under the account as it
--         is; then nothing changed.
--
-- As seed.lua: the caller keeps the database still, later events are added here, and what its open
-- requests hold is summed from their records.

local PURSE = KEYS[1]
--@ clock
--@ request
--@ record
--@ calendar
local known = redis.call('HMGET', PURSE, 'life', 'of')
local of = redis.call('HGET', KEYS[3], 'seeded') or ''
if known[1] and known[2] == of then
  return 0
end
redis.call('DEL', PURSE)
local today = math.floor(now / DAY)
local ids = {today, (month_of(today)), 0}
local spent = {0, 0, tonumber(ARGV[7])}
for i = 1, 2 do
  spent[i] = tonumber(ARGV[2 * i + 1]) == ids[i] and tonumber(ARGV[2 * i + 2]) or 0
end
local mine, of_member = {}, false
for i = 8, #ARGV do
  mine[ARGV[i]] = true
  of_member = of_member or not tonumber(ARGV[i])
end
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '(' .. ARGV[2], '+')) do
  local fields = entry[2] -- account, its number, cost, its amount, event, its JSON
  if fields[2] == ARGV[1] then
    local readable, event = pcall(cjson.decode, fields[6])
    local told = readable and type(event) == 'table' and event or {}
    local key = tonumber(told.api_key_id or told[4]) -- an object of the release before, or an array
    local began = tonumber(told.began or told[10])
    if key and began and mine[string.format('%d', key)] then
      local day = math.floor(began * 1000 / DAY)
      local since = {day, (month_of(day)), 0}
      for i = 1, 3 do
        spent[i] = spent[i] + (since[i] == ids[i] and tonumber(fields[4]) or 0)
      end
    end
  end
end
local held = {0, 0, 0}
local function hold(day, amount)
  local since = {day, (month_of(day)), 0}
  for i = 1, 3 do
    held[i] = held[i] + (since[i] == ids[i] and amount or 0)
  end
  return since
end
local name = string.match(PURSE, ':spend:(.*)$')
local seeded = string.format('%d', micros)
for i = 4, #KEYS, 2 do
  local record = redis.call('GET', KEYS[i])
  local before = not record and not of_member and redis.call('HMGET', KEYS[i + 1], 'state', 'purse', 'hold', 'at') or {}
  local whose = record and record ~= ENDED and select(2, who(record))
  if of_member and whose and mine[whose] then
    local _, amount, _, _, _, _, _, day = struct.unpack(RECORD, record)
    redis.call('HSET', PURSE, 'open.' .. string.match(KEYS[i], ':request:(.*)$'), string.format('%d', hold(day, amount)[2]))
  elseif whose == name then
    local _, amount, cost, account, at, lease, _, day = struct.unpack(RECORD, record)
    local since = hold(day, amount)
    redis.call('SET', KEYS[i], struct.pack(RECORD, 1, amount, cost, account, at, lease, micros, day, since[2])
      .. string.sub(record, RECORD_BYTES + 1))
  elseif before[1] == 'open' and before[2] == name and before[4] then
    local since = hold(math.floor(before[4] / 86400000000), tonumber(before[3]))
    redis.call('HSET', KEYS[i + 1], 'spend', seeded, 'spend.day', string.format('%d', since[1]),
      'spend.month', string.format('%d', since[2]), 'spend.life', 0)
  end
end
redis.call('HSET', PURSE, 'seeded', seeded, 'of', of)
for i, period in ipairs({'day', 'month', 'life'}) do
  redis.call('HSET', PURSE, period, string.format('%d', ids[i]),
    period .. '.spent', string.format('%d', spent[i]), period .. '.held', string.format('%d', held[i]))
end
redis.call('PEXPIRE', PURSE, 3024000000) -- 35 days: longer than any period lasts
return 1
