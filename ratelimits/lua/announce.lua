-- A gateway says that a request of its own is alive, to a Redis that may not know of it any more.
--
-- EPOCH   the epoch both stores are in (docs/stores.md)
-- KEYS    1..7 as in state.lua, which is sent in front of this text, as is spend.lua
-- ARGV    1 request id, 2 account, 3 subject, 4 hold, 5 cost so far, 6 draft of its usage event,
--         7 lease in ms, 8 when it was admitted (microseconds), 9 purse,
--         10..13 when the windows opened that it was counted in (ms), 14..17 how many requests each
--         had then, this one included
-- Answer  1, or 0 if it is known to have ended; then nothing changed.
--
-- Twice is once. If its account was made anew already (its gateway is late) its hold is added; else
-- whoever makes it sums the records.

local request, admitted = ARGV[1], tonumber(ARGV[8])
local account = redis.call('HMGET', ACCOUNT, 'epoch', 'seeded')
local record = redis.call('HMGET', REQUEST, 'state', 'epoch')
if record[1] == 'settled' then
  return 0
end
local deadline = int(now + tonumber(ARGV[7]))
redis.call('ZADD', LEASES, deadline, request)
redis.call('ZADD', OPEN, deadline, request)
if record[1] and record[2] == EPOCH then
  return 1
end
local here = account[1] == EPOCH
if here or not record[1] then
  redis.call('HSET', REQUEST, 'seeded', here and account[2] or '')
end
redis.call('HSET', REQUEST, 'state', 'open', 'account', ARGV[2], 'subject', ARGV[3],
  'hold', ARGV[4], 'cost', ARGV[5], 'draft', ARGV[6], 'purse', ARGV[9], 'epoch', EPOCH, 'at', ARGV[8])
for i = 1, 4 do
  redis.call('HSET', REQUEST, NAMES[i], ARGV[9 + i], NAMES[i] .. '.used', ARGV[13 + i])
end
if admitted > micros - MINUTE then
  redis.call('ZADD', LOG, ARGV[8], request)
  redis.call('PEXPIRE', LOG, 60000)
end
if here then
  redis.call('HINCRBY', ACCOUNT, 'held', ARGV[4])
  local spend = ARGV[9] ~= '' and read_spend(SPEND, now)
  if spend and spend.of == account[2] then
    hold_spend(SPEND, REQUEST, spend, math.floor(admitted / 1000), tonumber(ARGV[4]))
  end
end
return 1
