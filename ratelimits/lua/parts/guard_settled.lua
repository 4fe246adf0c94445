-- A guarded request has ended: what it held becomes what it cost. A part of settle.lua.
-- A prompt that no vendor was asked, or that one failed to answer, was not served: to ask again is no loop.

local last = #KEYS - past
local BRAKE, LOOP, SESSION = KEYS[last - 2], KEYS[last - 1], KEYS[last]
if redis.call('HDEL', BRAKE, 'o' .. request) == 1 and cost > 0 then
  redis.call('HINCRBY', BRAKE, 'm' .. string.format('%d', math.floor(now / 60000)), ARGV[3])
end
if redis.call('HDEL', SESSION, 'o' .. request) == 1 and cost > 0 then
  redis.call('HINCRBY', SESSION, 'spent', ARGV[3])
end
if unanswered and redis.call('EXISTS', LOOP) == 1 then
  redis.call('DECR', LOOP)
end
