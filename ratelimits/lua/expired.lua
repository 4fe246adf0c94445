-- Ids of the requests of one shard whose deadline has passed, oldest first. It only reads.
--
-- KEYS    1 {s:NN}:open (as in state.lua)
-- ARGV    1 how many at most
-- Answer  {request id, ...}

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
return redis.call('ZRANGE', KEYS[1], '-inf', string.format('%.0f', now), 'BYSCORE', 'LIMIT', 0, ARGV[1])
