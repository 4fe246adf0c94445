-- Raise the hold of an open request by one step, if the account can afford it.
--
-- EPOCH   the epoch both stores are in (docs/stores.md)
-- KEYS    1 {s:NN}:acct:<account> (as in state.lua), 2 {s:NN}:request:<request id> (as in request.lua)
--         3 {s:NN}:spend:<purse> (as in purse.lua), of a capped member also 4 {s:NN}:spend:<their purse>
-- ARGV    1 hold: what the caller has, 2 step: what it wants on top (nano-dollars)
--         3 stretch: 1 = less than the step will do, 0 = all of it or nothing
--         4 what the purse may spend in a day, 5 in a month, 6 in its life (0 = no cap)
--         7..9 the same of the member, and 10 the request id; with KEYS[4] only
-- Answer  {granted on top of the caller's hold, hold, available: of the account, without caps,
--         whose cap leaves less than that: 0 nobody's, 1 the purse's, 2 the member's}
--         or {'cold'}, {'unseeded'} as in admit.lua; then nothing changed
--
-- Idempotent: the caller says what it has, so a step granted to a lost call is granted again,
-- not taken again. Nothing is granted to a request that is no longer open, or whose hold is of a
-- time before the account's money or the purse was seeded, or of a period whose count is gone
-- because a newer one has begun. Granting nothing changes nothing.

--@ request
local account = redis.call('HMGET', KEYS[1], 'credits', 'charged', 'held', 'seeded', 'epoch')
if account[5] ~= EPOCH or string.find(account[4], '.', 1, true) then
  return {'cold'}
end
local record = redis.call('GET', KEYS[2])
local available = (tonumber(account[1]) or 0) - (tonumber(account[2]) or 0) - (tonumber(account[3]) or 0)
if not record or record == ENDED then
  return {0, 0, available, 0}
end
local _, hold, cost, seeded, at, lease, counted, day, month = struct.unpack(RECORD, record)
if seeded ~= tonumber(account[4]) then
  return {0, 0, available, 0}
end

local before = tonumber(ARGV[1])
local wanted = before + tonumber(ARGV[2]) - hold
local affordable, whose = available, 0
local capped = ARGV[4] ~= '0' or ARGV[5] ~= '0' or ARGV[6] ~= '0'
if capped and redis.call('HGET', KEYS[3], 'of') ~= account[4]
  or KEYS[4] and redis.call('HGET', KEYS[4], 'of') ~= account[4] then
  return {'unseeded'}
end
-- A purse as it was left: in which of its periods the request's hold is, and what its caps leave.
local function periods(key, first, seeding, since, of)
  local stored = redis.call('HMGET', key, 'seeded', 'day', 'day.spent', 'day.held',
    'month', 'month.spent', 'month.held', 'life', 'life.spent', 'life.held')
  local found = {}
  for i = 1, 3 do
    local cap = tonumber(ARGV[first + i - 1])
    found[i] = (not seeding or tonumber(stored[1]) == seeding) and tonumber(stored[3 * i - 1]) == since[i]
    local left = found[i] and cap - stored[3 * i] - stored[3 * i + 1] or 0
    if cap > 0 and left < affordable then
      affordable, whose = left, of
    end
  end
  return found
end
local mine, members = {}, {}
if counted ~= 0 then
  mine = periods(KEYS[3], 4, counted, {day, month, 0}, 1)
end
local open = KEYS[4] and redis.call('HGET', KEYS[4], 'open.' .. ARGV[10])
if open then
  members = periods(KEYS[4], 7, nil, {day, tonumber(open), 0}, 2)
end
local more = math.max(math.min(wanted, affordable), 0)
if more < wanted and ARGV[3] ~= '1' then
  more = 0
end
if more > 0 then
  redis.call('HINCRBY', KEYS[1], 'held', string.format('%d', more))
  redis.call('SET', KEYS[2], struct.pack(RECORD, 1, hold + more, cost, seeded, at, lease, counted, day, month)
    .. string.sub(record, RECORD_BYTES + 1))
  for i, name in ipairs({'day.held', 'month.held', 'life.held'}) do
    if mine[i] then
      redis.call('HINCRBY', KEYS[3], name, string.format('%d', more))
    end
    if members[i] then
      redis.call('HINCRBY', KEYS[4], name, string.format('%d', more))
    end
  end
end
return {hold + more - before, hold + more, available - more, whose}
