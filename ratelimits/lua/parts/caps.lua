-- What the `caps` of a purse (in a day, a month, its life; 0 = none) leave of a hold, and which of them refuses it:
-- `spent` is the binding of the first, `on_hold` that of what other requests hold. A part of admit.lua, behind purse.lua.

for i = 1, 3 do
  if caps[i] > 0 then
    local below = caps[i] - spend[i][2]
    local free = math.max(below - spend[i][3], 0)
    if free < full and below < floor then
      --@ calendar
      local day = math.floor(now / DAY)
      local month, length = month_of(day)
      local ms = i == 3 and math.huge or (i == 1 and day + 1 or month + length) * DAY - now
      if ms > wait then
        binding, wait = spent + i - 1, ms
      end
    elseif free < full and free < floor and HOLD_WAIT > wait then
      binding, wait = on_hold, HOLD_WAIT
    end
    affordable = math.min(affordable, free)
  end
end
