-- Put what a purse has spent into Redis, once.
--
-- KEYS    1 {s:NN}:spend:<purse> (as in spend.lua, which is sent in front of this text)
--         2 {s:NN}:usage (as in settle.lua), 3 {s:NN}:acct:<account>
--         4.. {s:NN}:req:<id> of the account's open requests (as in state.lua)
-- ARGV    1 account, 2 id of the last event of the stream the caller saw ("0-0" = none)
--         3 the day and 4 what was spent in it, 5 the month and 6 what was spent in it, 7 what was
--           ever spent: in the database, and by the events up to ARGV[2] which are not in it yet
--         8.. the ids of the keys whose spending it is
-- Answer  1, or 0 if it is there already, with a count of its life, and made under the account as it
--         is; then nothing changed.
--
-- As seed.lua: the caller keeps the database still, later events are added here, and what its open
-- requests hold is summed from their records.

local known = redis.call('HMGET', KEYS[1], 'life', 'of')
local of = redis.call('HGET', KEYS[3], 'seeded') or ''
if known[1] and known[2] == of then
  return 0
end
redis.call('DEL', KEYS[1])
local clock = redis.call('TIME')
local ids = periods(clock[1] * 1000 + math.floor(clock[2] / 1000))
local spent = {0, 0, tonumber(ARGV[7])}
for i = 1, 2 do
  spent[i] = tonumber(ARGV[2 * i + 1]) == ids[i] and tonumber(ARGV[2 * i + 2]) or 0
end
local mine = {}
for i = 8, #ARGV do
  mine[ARGV[i]] = true
end
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '(' .. ARGV[2], '+')) do
  local fields = entry[2] -- account, its number, cost, its amount, event, its JSON
  if fields[2] == ARGV[1] then
    local readable, event = pcall(cjson.decode, fields[6])
    local told = readable and type(event) == 'table' and event or {}
    local key = tonumber(told.api_key_id or told[4]) -- an object of the release before, or an array
    local began = tonumber(told.began or told[10])
    if key and began and mine[string.format('%.0f', key)] then
      local day = math.floor(began * 1000 / DAY)
      local since = {day, (month_of(day)), 0}
      for i = 1, 3 do
        spent[i] = spent[i] + (since[i] == ids[i] and tonumber(fields[4]) or 0)
      end
    end
  end
end
local spend = {seeded = clock[1] .. '.' .. clock[2]}
redis.call('HSET', KEYS[1], 'seeded', spend.seeded, 'of', of)
for i = 1, 3 do
  spend[i] = {id = ids[i], spent = 0, held = 0, fresh = true}
  add_spend(KEYS[1], i, spend[i], spent[i], 0)
end
local name = string.match(KEYS[1], ':spend:(.*)$')
for i = 4, #KEYS do
  local record = redis.call('HMGET', KEYS[i], 'state', 'purse', 'hold', 'at')
  if record[1] == 'open' and record[2] == name and record[4] then
    hold_spend(KEYS[1], KEYS[i], spend, math.floor(record[4] / 1000), tonumber(record[3]))
  end
end
return 1
