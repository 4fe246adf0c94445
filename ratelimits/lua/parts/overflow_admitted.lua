-- Count a request that is admitted past a window, with `hold`, in its overflow. A part of admit.lua.

if past.begun then
  redis.call('HSET', KEYS[7], 'month', string.format('%d', past.begun), 'spent', '0')
end
redis.call('HSET', KEYS[7], 'o' .. ARGV[1], string.format('%d', hold))
redis.call('PEXPIRE', KEYS[7], 3024000000) -- 35 days: longer than a month lasts
past.held = past.held + hold
