-- The UTC calendar, of the scripts that count what is spent in a day, in a month.

local DAY = 86400000 -- ms

-- The first day of a day's month, and how many days that month has (days since 1970; the
-- calendar's arithmetic is Hinnant's civil_from_days, with years that begin in March).
local function month_of(day)
  local of_era = (day + 719468) % 146097
  local year = math.floor((of_era - math.floor(of_era / 1460) + math.floor(of_era / 36524)
    - math.floor(of_era / 146096)) / 365)
  local of_year = of_era - (365 * year + math.floor(year / 4) - math.floor(year / 100))
  local month = math.floor((5 * of_year + 2) / 153) -- 0 is March, 11 February
  local length = ({31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 31, 28})[month + 1]
  local next_year = (year + 1) % 400
  if month == 11 and next_year % 4 == 0 and (next_year % 100 ~= 0 or next_year == 0) then
    length = 29
  end
  return day - of_year + math.floor((153 * month + 2) / 5), length
end
