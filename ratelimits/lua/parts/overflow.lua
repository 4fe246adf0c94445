-- What the cap of a purse's overflow has against a request that is past a window. A part of admit.lua.
--
-- {s:NN}:overflow:<purse>  hash: of = the account's `seeded` it was made under (as in purse.lua), month = the
--                          UTC month it speaks of, as the number of its first day since 1970, spent =
--                          in it, o<request id> = what an open request holds
--
-- Such a request holds all that it can cost, so nothing is ever added to it. Of one that is not among
-- the running any more nothing is held, whether or not it said so.

--@ calendar
local OVERFLOW, gone = KEYS[7], {}
local all, of, since = redis.call('HGETALL', KEYS[7]), nil, nil
for i = 1, #all, 2 do
  if all[i] == 'of' then
    of = all[i + 1]
  elseif all[i] == 'month' then
    since = tonumber(all[i + 1])
  elseif all[i] == 'spent' then
    past.spent = tonumber(all[i + 1])
  elseif redis.call('ZSCORE', RUNNING, string.sub(all[i], 2)) then
    past.held = past.held + tonumber(all[i + 1])
  else
    gone[#gone + 1] = all[i]
  end
end
if of ~= account[6] then
  return string.char(UNSEEDED)
end
local month, length = month_of(math.floor(now / DAY))
if since ~= month then
  past.spent, past.begun = 0, month
end
local left = struct.unpack('>i8', ARGV[8]) - past.spent
local ms = (month + length) * DAY - now
if left < full and ms > wait then
  binding, wait = OVERFLOW_SPENT, ms
elseif left >= full and left - past.held < full and HOLD_WAIT > wait then
  binding, wait = OVERFLOW_HOLD, HOLD_WAIT
end
if commit and #gone > 0 then
  redis.call('HDEL', OVERFLOW, unpack(gone))
end
