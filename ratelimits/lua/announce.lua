-- A gateway says that a request of its own is alive, to a Redis that may not know of it any more.
--
-- EPOCH   the epoch both stores are in (docs/stores.md)
-- KEYS    1..6 as in state.lua; of a capped member also 7 {s:NN}:spend:<their purse>
-- ARGV    1 request id, 2 hold, 3 cost so far, 4 lease in ms, 5 when it was admitted (microseconds),
--         6 1 = its purse is counted, 7 the rest of its record (request.lua)
-- Answer  1, or 0 if it is known to have ended; then nothing changed.
--
-- Twice is once. If its account was made anew already (its gateway is late) its hold is added; else
-- whoever makes it sums the records.

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
local rest, lease, seeded, counted, known, _ = ARGV[7], 0, 0, 0, false, nil
local day, month = math.floor(at / 86400000000), 0
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
local account = redis.call('HMGET', ACCOUNT, 'epoch', 'seeded')
if not known and account[1] == EPOCH and not string.find(account[2], '.', 1, true) then
  seeded = tonumber(account[2])
  redis.call('HINCRBY', ACCOUNT, 'held', ARGV[2])
  local spend, fresh, purse
  if ARGV[6] == '1' then
    --@ purse
  end
  if spend and spend[3] and purse[2] == account[2] then
    --@ calendar
    local counts, ids, cost, more = {}, {day, (month_of(day)), 0}, 0, hold
    for i = 1, 3 do
      counts[i] = ids[i] == spend[i][1]
    end
    --@ keep_purse
    counted, month = tonumber(purse[1]), ids[2]
  end
  if KEYS[7] then
    local PURSE, spend, fresh, purse = KEYS[7]
    --@ purse
    if spend and purse[2] == account[2] and redis.call('HEXISTS', PURSE, 'open.' .. ARGV[1]) == 0 then
      --@ calendar
      local counts, ids, cost, more = {}, {day, (month_of(day)), 0}, 0, hold
      for i = 1, 3 do
        counts[i] = ids[i] == spend[i][1]
      end
      --@ keep_purse
      redis.call('HSET', PURSE, 'open.' .. ARGV[1], string.format('%d', ids[2]))
    end
  end
end
redis.call('SET', REQUEST, struct.pack(RECORD, 1, hold, cost, seeded, at, deadline, counted, day, month)
  .. string.char(#EPOCH) .. EPOCH .. rest)
return 1
