-- Give something away to an account, within what it may be given in a UTC day. Once a request.
--
-- KEYS    1 {s:NN}:given:<account>  hash: day, sum = given on it (nano-dollars), <request id> = 1 or 0
-- ARGV    1 request id, 2 amount, 3 the most in a day
-- Answer  1 if it is given, 0 if that would be more than the most: then nothing changed but that
--         the same request is answered the same again, however often it asks.

local DAY = 86400
local now = tonumber(redis.call('TIME')[1])
local today = string.format('%.0f', math.floor(now / DAY))
local before = redis.call('HGET', KEYS[1], ARGV[1])
if before then
  return tonumber(before)
end
if redis.call('HGET', KEYS[1], 'day') ~= today then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'day', today, 'sum', 0)
  redis.call('EXPIRE', KEYS[1], 2 * DAY)
end
local given = 0
if tonumber(redis.call('HGET', KEYS[1], 'sum')) + tonumber(ARGV[2]) <= tonumber(ARGV[3]) then
  redis.call('HINCRBY', KEYS[1], 'sum', ARGV[2])
  given = 1
end
redis.call('HSET', KEYS[1], ARGV[1], given)
return given
