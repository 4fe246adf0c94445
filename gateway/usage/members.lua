-- Say that one settlement process is alive, and learn who is.
--
-- KEYS    1 zset of settlement processes: member = name, score = when its lease ends, ms
-- ARGV    1 name, 2 lease in ms; 0 = it leaves
-- Answer  the names of all that are alive, in their order
--
-- The clock is Valkey's, so that no node's own decides who is dead. A lease that ends later than one that is
-- given now was given before the clock went back: it is cut, or the dead would keep their shards until then.

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local lease = tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if lease > 0 then
  local furthest = string.format('%.0f', now + lease)
  for _, name in ipairs(redis.call('ZRANGE', KEYS[1], '(' .. furthest, '+inf', 'BYSCORE')) do
    redis.call('ZADD', KEYS[1], furthest, name)
  end
  redis.call('ZADD', KEYS[1], furthest, ARGV[1])
else
  redis.call('ZREM', KEYS[1], ARGV[1])
end
local alive = redis.call('ZRANGE', KEYS[1], 0, -1)
table.sort(alive)
return alive
