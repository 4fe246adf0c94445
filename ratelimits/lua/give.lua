-- Give something away to an account, within what it may be given in a UTC day. Once a request.
--
-- KEYS    1 {s:NN}:given:<account>  hash: day, epoch (docs/stores.md), sum = given on it
--         (nano-dollars), <request id> = 1 or 0
-- ARGV    1 request id, 2 amount, 3 the most in a day, 4 the epoch both stores are in
--         5 what the books say was given today before; empty = not looked up
-- Answer  1 if it is given, 0 if that would be more than the most: then nothing changed but that
--         the same request is answered the same again, however often it asks; -1 if this is another
--         day or epoch than what is noted: the books are to be looked up, and nothing changed.

local DAY = 86400
local now = tonumber(redis.call('TIME')[1])
local today = string.format('%.0f', math.floor(now / DAY))
local noted = redis.call('HMGET', KEYS[1], ARGV[1], 'day', 'epoch')
if noted[2] ~= today or noted[3] ~= ARGV[4] then
  if ARGV[5] == '' then
    return -1
  end
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'day', today, 'epoch', ARGV[4], 'sum', ARGV[5])
  redis.call('EXPIRE', KEYS[1], 2 * DAY)
elseif noted[1] then
  return tonumber(noted[1])
end
local given = 0
if tonumber(redis.call('HGET', KEYS[1], 'sum')) + tonumber(ARGV[2]) <= tonumber(ARGV[3]) then
  redis.call('HINCRBY', KEYS[1], 'sum', ARGV[2])
  given = 1
end
redis.call('HSET', KEYS[1], ARGV[1], given)
return given
