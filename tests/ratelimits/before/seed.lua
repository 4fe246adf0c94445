-- Make an account in Redis anew from the database, once an epoch (docs/stores.md).
--
-- EPOCH   the epoch both stores are in
-- KEYS    1 {s:NN}:acct:<account>, 2 {s:NN}:usage, 3 {s:NN}:open (as in state.lua and settle.lua)
--         then of each subject windows, rpm and leases; then req:<id> of each request that is open,
--         and of each that has ended although its record may say it is open
-- ARGV    1 account, 2 credits, 3 credits version, 4 terms version
--         5 charged: the sum settled in the database, plus the cost of the events in the stream that
--           the caller saw are not in the database yet
--         6 id of the last event of the stream the caller saw ("0-0" = none)
--         7 how many subjects, 8 how many open requests, 9 how many that have ended
--           then the ids of those, as their keys are; then of each subject
--         when its four windows opened (ms, 0 = not open) and how many requests each counts, how many
--         requests the last minute holds, and of each when it was admitted (microseconds) and its id
-- Answer  1, or 0 if it was made in this epoch already; then nothing changed.
--
-- The caller keeps the database's total still (it locks the wallet) from reading it until we
-- answer. Events settled meanwhile are behind ARGV[6] in the stream, and are added here: settle.lua
-- does not charge an account without credits. So charged = settled + events not yet settled.
--
-- Set, never added, so any number of callers may race. What is held is summed from the records of
-- open requests. An account without an epoch was made by the last release, or was taken out of its
-- epoch to be made anew: nothing of it was lost, so of its windows the higher count is kept.

local ACCOUNT, STREAM, OPEN = KEYS[1], KEYS[2], KEYS[3]
local NAMES = {'5h', 'daily', 'weekly', 'monthly'}
local MONTH, MARKER = 2592000000, 86400000 -- ms
local subjects, opened, ended = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local known = redis.call('HMGET', ACCOUNT, 'credits', 'epoch', 'terms')
if known[1] and known[2] == EPOCH then
  return 0
end
local clock = redis.call('TIME')
local seeded = clock[1] .. '.' .. clock[2]

local held, at = 0, 3 + 3 * subjects
for i = 1, opened do
  local record = redis.call('HMGET', KEYS[at + i], 'state', 'hold')
  if record[1] == 'open' then
    held = held + tonumber(record[2])
    redis.call('HSET', KEYS[at + i], 'seeded', seeded, 'epoch', EPOCH)
  end
end
for i = opened + 1, opened + ended do
  redis.call('ZREM', OPEN, ARGV[9 + i])
  for s = 1, subjects do
    redis.call('ZREM', KEYS[3 + 3 * s], ARGV[9 + i])
  end
  redis.call('HSET', KEYS[at + i], 'state', 'settled', 'draft', '')
  redis.call('PEXPIRE', KEYS[at + i], MARKER)
end

-- The windows and the last minute of one subject, from ARGV[from] on; where the next one begins.
local function count(windows, log, from)
  if known[2] then
    redis.call('DEL', windows, log)
  end
  for i = 1, 4 do
    local since, used, name = ARGV[from + 2 * i - 2], ARGV[from + 2 * i - 1], NAMES[i]
    local kept = redis.call('HMGET', windows, name, name .. '.used')
    local before = tonumber(kept[1]) or 0
    if tonumber(used) > 0 and (tonumber(since) > before
        or tonumber(since) == before and tonumber(used) > tonumber(kept[2])) then
      redis.call('HSET', windows, name, since, name .. '.used', used)
      redis.call('PEXPIRE', windows, MONTH)
    end
  end
  local logged = tonumber(ARGV[from + 8])
  for i = 1, logged do
    redis.call('ZADD', log, ARGV[from + 7 + 2 * i], ARGV[from + 8 + 2 * i])
  end
  if logged > 0 then
    redis.call('PEXPIRE', log, 60000)
  end
  return from + 9 + 2 * logged
end

local from = 10 + opened + ended
for s = 1, subjects do
  from = count(KEYS[1 + 3 * s], KEYS[2 + 3 * s], from)
end

-- A database that went back knows older terms than Redis; else Redis may have heard of newer ones.
local terms = tonumber(ARGV[4])
if not known[2] then
  terms = math.max(terms, tonumber(known[3]) or 0)
end
redis.call('HSET', ACCOUNT, 'credits', ARGV[2], 'credits_version', ARGV[3], 'charged', ARGV[5],
  'held', string.format('%.0f', held), 'seeded', seeded, 'epoch', EPOCH,
  'terms', string.format('%.0f', terms))
for _, entry in ipairs(redis.call('XRANGE', STREAM, '(' .. ARGV[6], '+')) do
  local fields = entry[2] -- account, its number, cost, its amount, event, its JSON
  if fields[2] == ARGV[1] then
    redis.call('HINCRBY', ACCOUNT, 'charged', fields[4])
  end
end
return 1
