-- Keep one answer of an account, and forget the oldest beyond what an account may have.
-- KEYS: 1 the record, 2 the account's index (by time), 3 the sizes, 4... the items it can be found by
-- ARGV: 1 the sealed record, 2 seconds it lives, 3 now in ms, 4 its id, 5 bytes an account may have,
--       6 how the names of the account's records begin
-- Answer: how many were forgotten.
local now, life = tonumber(ARGV[3]), tonumber(ARGV[2])
redis.call('SET', KEYS[1], ARGV[1], 'EX', life)
for n = 4, #KEYS do
  redis.call('SET', KEYS[n], ARGV[4], 'EX', life)
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - life * 1000)) do
  redis.call('ZREM', KEYS[2], id)
  redis.call('HDEL', KEYS[3], id)
end
redis.call('ZADD', KEYS[2], now, ARGV[4])
redis.call('HSET', KEYS[3], ARGV[4], #ARGV[1])
local total, forgotten = 0, 0
for _, size in ipairs(redis.call('HVALS', KEYS[3])) do
  total = total + tonumber(size)
end
while total > tonumber(ARGV[5]) do
  local oldest = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
  if not oldest or oldest == ARGV[4] then break end
  total = total - tonumber(redis.call('HGET', KEYS[3], oldest) or 0)
  redis.call('DEL', ARGV[6] .. oldest)
  redis.call('ZREM', KEYS[2], oldest)
  redis.call('HDEL', KEYS[3], oldest)
  forgotten = forgotten + 1
end
redis.call('EXPIRE', KEYS[2], life)
redis.call('EXPIRE', KEYS[3], life)
return forgotten
