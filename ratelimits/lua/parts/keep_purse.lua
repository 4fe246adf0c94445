-- Count `cost` and `more` (of what is held) in those periods of `spend` that `counts` names; the first of a new
-- period ends the one before. A part of the scripts, behind purse.lua.

local EXACT = 9007199254740992 -- beyond it Lua's numbers are not
local NAMES = {'day', 'day.spent', 'day.held', 'month', 'month.spent', 'month.held', 'life', 'life.spent', 'life.held'}
local news, begun = {}, false
for i, period in ipairs(spend) do
  if counts[i] then
    local spent, held = NAMES[3 * i - 1], NAMES[3 * i]
    period[2], period[3] = period[2] + cost, period[3] + more
    if fresh[i] then
      news[#news + 1], news[#news + 2] = NAMES[3 * i - 2], string.format('%d', period[1])
      begun = true
    end
    if fresh[i] or cost ~= 0 and period[2] < EXACT then
      news[#news + 1], news[#news + 2] = spent, string.format('%d', period[2])
    elseif cost ~= 0 then
      redis.call('HINCRBY', PURSE, spent, string.format('%d', cost))
    end
    if fresh[i] or more ~= 0 then
      news[#news + 1], news[#news + 2] = held, string.format('%d', period[3])
    end
  end
end
if #news > 0 then
  redis.call('HSET', PURSE, unpack(news))
end
if begun then
  redis.call('PEXPIRE', PURSE, 3024000000) -- 35 days: longer than any period lasts
end
