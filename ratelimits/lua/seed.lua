-- Put an account's money into Redis, once.
--
-- KEYS    1 {s:NN}:acct:<account>, 2 {s:NN}:usage (as in state.lua and settle.lua)
-- ARGV    1 account, 2 credits, 3 credits version, 4 terms version
--         5 charged: the sum settled in the database, plus the cost of the events in the stream that
--           the caller saw are not in the database yet
--         6 id of the last event of the stream the caller saw ("0-0" = none)
-- Answer  1, or 0 if credits are there already; then nothing changed.
--
-- The caller keeps the database's total still (it locks the wallet) from reading it until we
-- answer. Events settled meanwhile are behind ARGV[6] in the stream, and are added here: settle.lua
-- does not charge an account without credits. So charged = settled + events not yet settled.
--
-- Set, never added, so any number of callers may race. Requests open when Redis lost the account
-- hold nothing here (a new `seeded` tells their holds apart); their cost is charged when they
-- settle. If the hash survived, so did its `held` and its `seeded`.

if redis.call('HEXISTS', KEYS[1], 'credits') == 1 then
  return 0
end
local clock = redis.call('TIME')
redis.call('HSETNX', KEYS[1], 'seeded', clock[1] .. '.' .. clock[2])
redis.call('HSETNX', KEYS[1], 'held', 0)
redis.call('HSET', KEYS[1], 'credits', ARGV[2], 'credits_version', ARGV[3], 'charged', ARGV[5])
if tonumber(ARGV[4]) > (tonumber(redis.call('HGET', KEYS[1], 'terms')) or 0) then
  redis.call('HSET', KEYS[1], 'terms', ARGV[4])
end
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '(' .. ARGV[6], '+')) do
  local fields = entry[2] -- account, its number, cost, its amount, event, its JSON
  if fields[2] == ARGV[1] then
    redis.call('HINCRBY', KEYS[1], 'charged', fields[4])
  end
end
return 1
