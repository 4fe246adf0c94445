-- Take a request out of the log that was admitted `at`, if it is still in there. A part of settle.lua.

-- A chunk without it; nil if it is not in there.
local function cut(chunk)
  for from = 1, #chunk, 8 do
    if struct.unpack('>i8', chunk, from) == at then
      return string.sub(chunk, 1, from - 1) .. string.sub(chunk, from + 8)
    end
  end
end

-- In the list: in the last chunk that begins no later than then.
local function cut_between()
  local first, last, found = math.max(taken, 0), redis.call('LLEN', LOG) - 1, nil
  while first <= last do
    local middle = math.floor((first + last) / 2)
    local chunk = redis.call('LINDEX', LOG, middle)
    if struct.unpack('>i8', chunk) <= at then
      found, first = chunk, middle + 1
    else
      last = middle - 1
    end
  end
  local rest = found and cut(found)
  if rest == '' then
    redis.call('LREM', LOG, 1, found)
  elseif rest then
    redis.call('LSET', LOG, last, rest)
  end
  between = between - (rest and 1 or 0)
end

local behind = cut(tails)
local ahead = not behind and cut(heads)
if not behind and not ahead and between > 0 then
  cut_between()
end
tails, heads = behind or tails, ahead or heads
if heads == '' and between > 0 then -- the oldest is always at hand
  heads = redis.call('LINDEX', LOG, taken)
  between, taken = between - #heads / 8, taken + 1
end
logged = #heads / 8 + between + #tails / 8
