-- A gateway says that a request of its own is alive, to a Redis that may not know of it any more.
--
-- EPOCH   the epoch both stores are in (docs/stores.md)
-- KEYS    1..6 as in state.lua
-- ARGV    1 request id, 2 hold, 3 cost so far, 4 lease in ms, 5 when it was admitted (microseconds),
--         6 the rest of its record (request.lua)
-- Answer  1, or 0 if it is known to have ended; then nothing changed.
--
-- Twice is once. Whoever makes its account anew sums the records, and clears those away that have ended
-- by the books. If that was done already (its gateway is late), or is being done, it is done again before the
-- next request.

--@ clock
--@ request
--@ state
--@ subject
if ended then
  return 0
end
--@ record
--@ minute
local hold, cost, at, length = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[5]), tonumber(ARGV[4])
local rest, lease, seeded, counted, day, month, known, _ = ARGV[6], 0, 0, 0, math.floor(at / 86400000000), 0, false, nil
if record then
  local epoch, known_rest = parts_of(record)
  known = epoch == EPOCH
  if known then
    _, hold, cost, seeded, at, lease, counted, day, month = struct.unpack(RECORD, record)
    rest = known_rest
  else
    _, _, _, seeded, _, lease, counted, day, month = struct.unpack(RECORD, record)
  end
end
if not known and at > after then
  local times, there = entries(), false
  for _, time in ipairs(times) do
    there = there or time == at
  end
  if not there then
    times[#times + 1] = at
    relog(times)
  end
end
--@ unlease
--@ lease
--@ keep
redis.call('ZADD', RUNNING, string.format('%d', deadline), ARGV[1])
if not known then
  redis.call('HINCRBY', ACCOUNT, 'announced', 1)
  redis.call('HDEL', ACCOUNT, 'epoch')
end
redis.call('SET', REQUEST, struct.pack(RECORD, 1, hold, cost, seeded, at, deadline, counted, day, month)
  .. string.char(#EPOCH) .. EPOCH .. rest)
return 1
