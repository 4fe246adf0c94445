-- Say that one settlement process is alive, and learn who is.
--
-- KEYS    1 zset of settlement processes: member = name, score = when its lease ends, ms
-- ARGV    1 name, 2 lease in ms; 0 = it leaves
-- Answer  the names of all that are alive, in their order
--
-- The clock is Valkey's, so that no node's own decides who is dead.

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if tonumber(ARGV[2]) > 0 then
  redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[1])
else
  redis.call('ZREM', KEYS[1], ARGV[1])
end
local alive = redis.call('ZRANGE', KEYS[1], 0, -1)
table.sort(alive)
return alive
