-- A request past a window has ended: what it held becomes what it cost, in the month it was admitted in, if that
-- lasts. A part of settle.lua.

--@ calendar
local OVERFLOW = KEYS[#KEYS]
redis.call('HDEL', OVERFLOW, 'o' .. request)
local month = month_of(math.floor((at > 0 and at / 1000 or now) / DAY))
if cost > 0 and redis.call('HGET', OVERFLOW, 'month') == string.format('%d', month) then
  redis.call('HINCRBY', OVERFLOW, 'spent', ARGV[3])
end
