-- How a subject stands at this moment, told from `packed`; part of the scripts that count.
--
-- {s:NN}:subject:<subject>  string: of each window 5h, daily, weekly, monthly since = when it opened (ms;
--                           0: it is not open) and used = requests in it; how many entries of the log are
--                           in {s:NN}:log; how many leases there are; how many entries are in front of
--                           those of the log and how many behind them; then these entries, the
--                           oldest first; then the leases, by deadline: deadline (ms), how many have it
-- {s:NN}:log:<subject>      list of entries, CHUNK bytes of them each: when a request of the last 60 s was
--                           admitted, in microseconds: a truncated millisecond could let N + 1
--                           requests into 60 s
--
-- The log is all in one string until a minute has more than CHUNK bytes of requests; beyond, a
-- chunk goes to the list, or comes from it, every 16 requests. A lease has a deadline of its own
-- as long as a subject has less than CROWD of them; then deadlines are rounded up to a 16th of a lease.
--
-- A function costs a script more than what it does here. So what is seldom needed is in a part of its
-- own, and taken in where it is.

local HEAD, HEAD_BYTES, WINDOWS, LEASE = '>i8I4i8I4i8I4i8I4I4I4BB', 58, '>i8I4i8I4i8I4i8I4', '>i8I4'
local LENGTHS = {18000000, 86400000, 604800000, 2592000000} -- ms
local DAY_MS, MINUTE, CHUNK, CROWD = 86400000, 60000000, 128, 32

local windows, between, active -- since, used, since, used ...
local heads, tails, leases = '', '', ''
local expires -- in ms, where it is another moment than so far
if packed then
  windows = {struct.unpack(HEAD, packed)}
  between, active = windows[9], windows[10]
  local middle = HEAD_BYTES + 8 * windows[11]
  local last = middle + 8 * windows[12]
  heads, tails = string.sub(packed, HEAD_BYTES + 1, middle), string.sub(packed, middle + 1, last)
  leases = string.sub(packed, last + 1)
  for i = 1, 4 do
    if now >= windows[2 * i - 1] + LENGTHS[i] then
      windows[2 * i - 1], windows[2 * i] = 0, 0
    end
  end
  while active > 0 do
    local deadline, count = struct.unpack(LEASE, leases)
    if deadline > now then
      break
    end
    active, leases = active - count, string.sub(leases, 13)
  end
else
  windows, between, active, expires = {0, 0, 0, 0, 0, 0, 0, 0}, 0, 0, DAY_MS
end

-- The log, without what is older than a minute. `taken`: chunks of the list that are over, -1 = all.
local after, taken = micros - MINUTE, 0
if tails ~= '' and struct.unpack('>i8', tails, #tails - 7) <= after then
  heads, tails, between, taken = '', '', 0, between > 0 and -1 or 0
end
while heads ~= '' or between > 0 do
  if heads == '' then
    local chunk = redis.call('LINDEX', LOG, taken)
    if not chunk then
      between = 0
      break
    end
    heads, between, taken = chunk, between - #chunk / 8, taken + 1
  end
  if struct.unpack('>i8', heads) > after then
    break
  end
  heads = string.sub(heads, 9)
end
while heads == '' and tails ~= '' and struct.unpack('>i8', tails) <= after do
  tails = string.sub(tails, 9)
end
local logged = #heads / 8 + between + #tails / 8
