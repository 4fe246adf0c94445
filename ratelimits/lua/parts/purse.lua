-- How a purse stands now. A part of the scripts that count what it spends, behind clock.lua.
--
-- {s:NN}:spend:<purse>  hash: seeded (when it was seeded; a hold counts only in that epoch),
--                       day, month = the periods it speaks of, as the number of their first day
--                       since 1970; life = 0, the one that never ends; and of each <name>.spent
--                       and <name>.held in nano-dollars; of = the account's `seeded` it was made
--                       under: with another one, the account was made anew, and so must it be
--
-- Of a member's purse, whose spending is that of several keys, also open.<request id> = the month in which the
-- hold of an open request is counted: its record knows only the purse of its key.
--
-- A request belongs to the periods it was admitted in, as its receipt does: its hold is counted
-- there, and its cost takes the hold's place when it ends. Of a period that is over nothing is kept.
--
-- Into `purse` goes the hash, into `spend` by period id, spent and held (nil: it is not seeded; without a
-- count of its life, as it was once written, the last is missing), into `fresh` which have just begun.

purse = redis.call('HMGET', PURSE, 'seeded', 'of', 'day', 'day.spent', 'day.held',
  'month', 'month.spent', 'month.held', 'life', 'life.spent', 'life.held')
if purse[1] then
  spend, fresh = {}, {}
  local today = math.floor(now / 86400000)
  local ids = {today, tonumber(purse[6]), 0}
  if tonumber(purse[3]) ~= today then -- the calendar is needed once a day
    --@ calendar
    ids[2] = month_of(today)
  end
  for i = 1, purse[9] and 3 or 2 do
    fresh[i] = tonumber(purse[3 * i]) ~= ids[i]
    spend[i] = {ids[i], fresh[i] and 0 or tonumber(purse[3 * i + 1]), fresh[i] and 0 or tonumber(purse[3 * i + 2])}
  end
end
