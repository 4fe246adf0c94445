-- The requests of one shard whose deadline has passed, or passes soon, oldest first.
--
-- KEYS    1 {s:NN}:running (as in state.lua)
-- ARGV    1 how many at most, 2 how soon, in ms, 3 how far ahead a deadline can be, in ms
-- Answer  {now in ms, request id, its deadline in ms, ...}
--
-- A deadline further ahead than any lease is long was set before the clock went back: it is taken as near as
-- one that is set now can be, or whoever died then would hold its money until the clock is there again.

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local furthest = string.format('%.0f', now + ARGV[3])
for _, request in ipairs(redis.call('ZRANGE', KEYS[1], '(' .. furthest, '+inf', 'BYSCORE')) do
  redis.call('ZADD', KEYS[1], furthest, request)
end
local soon = string.format('%.0f', now + ARGV[2])
local found = redis.call('ZRANGE', KEYS[1], '-inf', soon, 'BYSCORE', 'LIMIT', 0, ARGV[1], 'WITHSCORES')
table.insert(found, 1, now)
return found
