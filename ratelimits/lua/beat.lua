-- The heartbeat of one open request: a new deadline, and what it has cost so far.
--
-- KEYS    1 {s:NN}:leases:<subject>, 2 {s:NN}:open, 3 {s:NN}:req:<request id> (as in state.lua)
-- ARGV    1 request id, 2 lease in ms, 3 cost so far in nano-dollars, 4 draft of its usage event
-- Answer  the new deadline in ms, or 0 if the request is no longer open; then nothing changed.
--
-- A request whose lease was given to another while its process slept gets it back: it does run, and
-- whoever counts should know.

if redis.call('HGET', KEYS[3], 'state') ~= 'open' then
  return 0
end
local clock = redis.call('TIME')
local deadline = clock[1] * 1000 + math.floor(clock[2] / 1000) + tonumber(ARGV[2])
local score = string.format('%.0f', deadline)
redis.call('ZADD', KEYS[1], score, ARGV[1])
redis.call('ZADD', KEYS[2], score, ARGV[1])
redis.call('HSET', KEYS[3], 'cost', ARGV[3], 'draft', ARGV[4])
return deadline
