-- All of the log as a table, and the way back; a part of the scripts, behind subject.lua.

-- When each request was admitted, the oldest first.
local function entries()
  local found = {}
  local function add(chunk)
    for from = 1, #chunk, 8 do
      found[#found + 1] = (struct.unpack('>i8', chunk, from))
    end
  end
  add(heads)
  for _, chunk in ipairs(between > 0 and redis.call('LRANGE', LOG, math.max(taken, 0), -1) or {}) do
    add(chunk)
  end
  add(tails)
  return found
end

-- Keep these in its place.
local function relog(times)
  table.sort(times)
  redis.call('DEL', LOG)
  heads, tails, between, taken, logged = '', '', 0, 0, #times
  for _, at in ipairs(times) do
    if #tails == CHUNK then
      redis.call('RPUSH', LOG, tails)
      between, tails = between + CHUNK / 8, ''
    end
    tails = tails .. struct.pack('>i8', at)
  end
  if between > 0 then
    redis.call('PEXPIRE', LOG, MINUTE / 1000)
  end
end
