-- Count one attempt, or refuse it and change nothing. At most `limit` in any span of `length`.
--
-- KEYS    1 throttle:<scope>:<who>  zset: attempt -> when (microseconds)
-- ARGV    1 limit, 2 length in ms, 3 a name for this attempt that no other has
-- Answer  ms until an attempt is allowed again; 0 = this one was.
--
-- Attempts of the future were made before the clock went back: nobody waits until it is there again.

local clock = redis.call('TIME')
local now, length = clock[1] * 1000000 + clock[2], tonumber(ARGV[2]) * 1000
local function int(number)
  return string.format('%.0f', number)
end

redis.call('ZREMRANGEBYSCORE', KEYS[1], '(' .. int(now), '+inf')
local after = '(' .. int(now - length)
local count = redis.call('ZCOUNT', KEYS[1], after, '+inf')
local over = count - tonumber(ARGV[1])
if over >= 0 then
  local at = redis.call('ZRANGE', KEYS[1], after, '+inf', 'BYSCORE', 'LIMIT', over, 1, 'WITHSCORES')[2]
  return math.ceil(math.min(at + length - now, length) / 1000)
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', int(now - length))
redis.call('ZADD', KEYS[1], int(now), ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 0
