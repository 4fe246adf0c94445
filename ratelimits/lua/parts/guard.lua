-- What the guard of a purse has against a request. A part of admit.lua.
--
-- {s:NN}:brake:<purse>             hash: m<minute since 1970> = what was spent in it (nano-dollars),
--                                  o<request id> = what an open request holds
-- {s:NN}:loop:<purse>:<prompt>     how often a prompt was admitted, for ten minutes from the first
-- {s:NN}:session:<purse>:<session> hash: spent, and o<request id> likewise
--
-- Of a request that is not among the running any more nothing is held, whether or not it said so.

local spend_most, loop_most, budget = struct.unpack('>i8i8i8', ARGV[7])
local minute = math.floor(now / 60000)
local old = {}
local function binds(name, ms)
  if ms > wait then
    binding, wait = name, ms
  end
end
local function holds(all, key, i)
  if redis.call('ZSCORE', RUNNING, string.sub(all[i], 2)) then
    return tonumber(all[i + 1])
  end
  old[#old + 1] = {key, all[i]}
  return 0
end
if spend_most > 0 then
  local all, held, spent, minutes = redis.call('HGETALL', BRAKE), 0, 0, {}
  for i = 1, #all, 2 do
    if string.byte(all[i]) == 111 then -- o
      held = held + holds(all, BRAKE, i)
    else
      local at = tonumber(string.sub(all[i], 2))
      if at > minute - 10 then
        minutes[#minutes + 1] = {at, tonumber(all[i + 1])}
        spent = spent + tonumber(all[i + 1])
      else
        old[#old + 1] = {BRAKE, all[i]}
      end
    end
  end
  if spend_most - spent < floor and spend_most - spent < full then
    table.sort(minutes, function(a, b) return a[1] < b[1] end)
    local ms = math.huge
    for _, each in ipairs(minutes) do
      spent = spent - each[2]
      if spend_most - spent >= math.min(floor, full) then
        ms = math.min((each[1] + 10) * 60000 - now, 600000) -- a clock set back promises nothing longer
        break
      end
    end
    binds(BRAKE_SPEND, ms)
  elseif spend_most - spent - held < floor and spend_most - spent - held < full then
    binds(BRAKE_ON_HOLD, HOLD_WAIT)
  end
end
if loop_most > 0 and (tonumber(redis.call('GET', LOOP)) or 0) >= loop_most then
  binds(BRAKE_LOOP, math.max(redis.call('PTTL', LOOP), 1))
end
if budget > 0 then
  local all, held, spent = redis.call('HGETALL', SESSION), 0, 0
  for i = 1, #all, 2 do
    if all[i] == 'spent' then
      spent = tonumber(all[i + 1])
    else
      held = held + holds(all, SESSION, i)
    end
  end
  if budget - spent < floor and budget - spent < full then
    binds(SESSION_BUDGET, math.huge)
  elseif budget - spent - held < floor and budget - spent - held < full then
    binds(SESSION_ON_HOLD, HOLD_WAIT)
  end
end
if commit then
  for _, each in ipairs(old) do
    redis.call('HDEL', each[1], each[2])
  end
end
