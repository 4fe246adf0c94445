-- What one purse (a key, whatever it was rotated to) has spent in this UTC day, this month and its life; sent in
-- front of the scripts that count it.
--
-- {s:NN}:spend:<purse>  hash: seeded (when it was seeded; a hold counts only in that epoch),
--                       day, month = the periods it speaks of, as the number of their first day
--                       since 1970; life = 0, the one that never ends; and of each <name>.spent
--                       and <name>.held in nano-dollars; of = the account's `seeded` it was made
--                       under: with another one, the account was made anew, and so must it be
--
-- A request belongs to the periods it was admitted in, as its receipt does: its hold is counted
-- there, and its cost takes the hold's place when it ends. Of a period that is over nothing is kept.
-- A purse without `life` was written before there was one: what it spent in it is not known here.

local PERIODS = {'day', 'month', 'life'}
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

-- The periods of this moment as ids, and ms until each is over (0: never).
local function periods(now)
  local day = math.floor(now / DAY)
  local month, length = month_of(day)
  return {day, month, 0}, {(day + 1) * DAY - now, (month + length) * DAY - now, 0}
end

-- How a purse stands: seeded, and by period id, spent, held, resets. Not seeded: nil; without a
-- count of its life: nothing at its place.
local function read_spend(key, now)
  local stored = redis.call('HMGET', key, 'seeded',
    'day', 'day.spent', 'day.held', 'month', 'month.spent', 'month.held',
    'life', 'life.spent', 'life.held', 'of')
  if not stored[1] then
    return nil
  end
  local ids, ends = periods(now)
  local spend = {seeded = stored[1], of = stored[11]}
  for i = 1, stored[8] and 3 or 2 do
    local fresh = tonumber(stored[3 * i - 1]) ~= ids[i]
    spend[i] = {id = ids[i], resets = ends[i], fresh = fresh,
      spent = fresh and 0 or tonumber(stored[3 * i]), held = fresh and 0 or tonumber(stored[3 * i + 1])}
  end
  return spend
end

-- Count it in one period; the first of a new period ends the one before.
local function add_spend(key, i, period, spent, held)
  local name = PERIODS[i]
  period.spent, period.held = period.spent + spent, period.held + held
  if period.fresh then
    redis.call('HSET', key, name, string.format('%.0f', period.id),
      name .. '.spent', string.format('%.0f', period.spent),
      name .. '.held', string.format('%.0f', period.held))
    redis.call('PEXPIRE', key, 35 * DAY) -- longer than any period lasts
    period.fresh = false
    return
  end
  if spent ~= 0 then
    redis.call('HINCRBY', key, name .. '.spent', string.format('%.0f', spent))
  end
  if held ~= 0 then
    redis.call('HINCRBY', key, name .. '.held', string.format('%.0f', held))
  end
end

-- Count the hold of a request that was admitted before the purse was made, where its periods last.
local function hold_spend(key, request, spend, admitted, hold)
  local ids = periods(admitted)
  for i = 1, 3 do
    if ids[i] == spend[i].id then
      add_spend(key, i, spend[i], 0, hold)
    end
  end
  redis.call('HSET', request, 'spend', spend.seeded, 'spend.day', string.format('%.0f', ids[1]),
    'spend.month', string.format('%.0f', ids[2]), 'spend.life', 0)
end
