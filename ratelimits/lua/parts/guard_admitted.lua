-- Count a request that is admitted in its guard, with all that it can cost: where less was held, its hold grows as it
-- goes. A part of admit.lua, behind guard.lua.

local spend_most, loop_most, budget = struct.unpack('>i8i8i8', ARGV[7])
if spend_most > 0 then
  redis.call('HSET', BRAKE, 'o' .. ARGV[1], string.format('%d', full))
  redis.call('PEXPIRE', BRAKE, 86400000)
end
if loop_most > 0 and redis.call('INCR', LOOP) == 1 then
  redis.call('PEXPIRE', LOOP, 600000)
end
if budget > 0 then
  redis.call('HSET', SESSION, 'o' .. ARGV[1], string.format('%d', full))
  redis.call('PEXPIRE', SESSION, 2592000000) -- 30 days from its last request
end
