-- Make an account in Redis anew from the database, once an epoch (docs/stores.md).
--
-- EPOCH   the epoch both stores are in
-- KEYS    1 {s:NN}:acct:<account>, 2 {s:NN}:usage, 3 {s:NN}:running (as in state.lua and settle.lua)
--         4 {s:NN}:open: as 3, of the release before
--         then of each request that is open, and of each that has ended although its record may say it is
--         open: request:<id>, and req:<id>, its record if the release before admitted it
-- ARGV    1 account, 2 credits, 3 credits version, 4 terms version
--         5 charged: the sum settled in the database, plus the cost of the events in the stream that
--           the caller saw are not in the database yet
--         6 id of the last event of the stream the caller saw ("0-0" = none)
--         7 how many requests had been announced when the caller asked for those that are open
--         8 how many open requests; then the ids of all, as their keys are
-- Answer  1, or 0 if it was made in this epoch already, or another request was announced meanwhile; then
--         nothing changed.
--
-- The caller keeps the database's total still (it locks the wallet) from reading it until we
-- answer. Events settled meanwhile are behind ARGV[6] in the stream, and are added here: settle.lua
-- does not charge an account without credits. So charged = settled + events not yet settled.
--
-- Set, never added, so any number of callers may race. What is held is summed from the records of
-- open requests. What its subjects have counted was made anew before (count.lua).

--@ clock
--@ request
--@ record
local ACCOUNT, STREAM, RUNNING, OPEN = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local LONG_MARKER = 86400000 -- ms
local opened = tonumber(ARGV[8])
local known = redis.call('HMGET', ACCOUNT, 'credits', 'epoch', 'terms', 'seeded', 'announced')
local same = known[1] and known[2] == EPOCH
local before = same and string.find(known[4], '.', 1, true)
if same and not before or (known[5] or '0') ~= ARGV[7] then
  return 0
end

local held = 0
local function open_of_before(key)
  local record = redis.call('HMGET', key, 'state', 'hold')
  if record[1] == 'open' then
    held = held + tonumber(record[2])
    redis.call('HSET', key, 'seeded', string.format('%d', micros), 'epoch', EPOCH)
  end
end
local function open(key, of_before)
  local record = redis.call('GET', key)
  if not record then
    return open_of_before(of_before)
  end
  if record ~= ENDED then
    local _, hold, cost, _, at, lease, spend, day, month = struct.unpack(RECORD, record)
    held = held + hold
    redis.call('SET', key, struct.pack(RECORD, 1, hold, cost, micros, at, lease, spend, day, month)
      .. string.char(#EPOCH) .. EPOCH .. select(2, parts_of(record)))
  end
end
local function ended(key, of_before, id)
  redis.call('ZREM', RUNNING, id)
  redis.call('SET', key, ENDED, 'PX', LONG_MARKER)
  if redis.call('ZREM', OPEN, id) == 1 then
    redis.call('HSET', of_before, 'state', 'settled', 'draft', '')
    redis.call('PEXPIRE', of_before, LONG_MARKER)
  end
end
for i = 1, #ARGV - 8 do
  if i <= opened then
    open(KEYS[3 + 2 * i], KEYS[4 + 2 * i])
  else
    ended(KEYS[3 + 2 * i], KEYS[4 + 2 * i], ARGV[8 + i])
  end
end

-- A database that went back knows older terms than Redis; else Redis may have heard of newer ones.
local terms = tonumber(ARGV[4])
if not known[2] or before then
  terms = math.max(terms, tonumber(known[3]) or 0)
end
redis.call('HSET', ACCOUNT, 'credits', ARGV[2], 'credits_version', ARGV[3], 'charged', ARGV[5],
  'held', string.format('%d', held), 'seeded', string.format('%d', micros), 'epoch', EPOCH, 'terms', string.format('%d', terms))
for _, entry in ipairs(redis.call('XRANGE', STREAM, '(' .. ARGV[6], '+')) do
  local fields = entry[2] -- account, its number, cost, its amount, event, its JSON
  if fields[2] == ARGV[1] then
    redis.call('HINCRBY', ACCOUNT, 'charged', fields[4])
  end
end
return 1
