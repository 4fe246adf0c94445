-- The heartbeat of one open request: a new deadline, and what it has cost so far.
--
-- KEYS    1..6 as in state.lua
-- ARGV    1 request id, 2 lease in ms, 3 cost so far in nano-dollars, 4 draft of its usage event
-- Answer  the new deadline in ms, or 0 if the request is no longer open; then nothing changed.
--
-- A request whose lease was given to another while its process slept gets it back: it does run, and
-- whoever counts should know.

--@ clock
--@ request
--@ state
--@ subject
if not record or ended then
  return 0
end
--@ record
local _, hold, _, seeded, at, lease, spend, day, month = struct.unpack(RECORD, record)
local length = tonumber(ARGV[2])
--@ unlease
--@ lease
--@ keep
redis.call('ZADD', RUNNING, string.format('%d', deadline), ARGV[1])
redis.call('SET', REQUEST, struct.pack(RECORD, 1, hold, tonumber(ARGV[3]), seeded, at, deadline, spend, day, month)
  .. before_draft(record) .. ARGV[4])
return deadline
