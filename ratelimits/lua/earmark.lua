-- Set aside for a batch exactly so much, whatever was set aside for it before.
--
-- EPOCH   the epoch both stores are in (docs/stores.md)
-- KEYS    1 {s:NN}:acct:<account>, 2 {s:NN}:running, 3 {s:NN}:request:<batch> (as in state.lua)
-- ARGV    1 id of the batch, 2 amount in nano-dollars, 3 lease in ms, 4 the rest of its record
-- Answer  'ok'       so much is set aside, until that changes or the lease ends; 0: nothing is any more;
--         'hold'     the balance would do, but running requests hold too much of it;
--         'balance'  it would not;
--         'cold'     the account is not here, or was not made in this epoch.
--
-- A refusal takes nothing and frees nothing, but renews the lease of what is set aside. What was set aside
-- before the account was last made anew is in no total, and counts as nothing. As a purchase (reserve.lua) it is
-- an open request without windows, a lease or an event; its requests take their holds out of it (admit.lua).

--@ clock
--@ request
local account = redis.call('HMGET', KEYS[1], 'credits', 'charged', 'held', 'seeded', 'epoch')
if not account[1] or account[5] ~= EPOCH or string.find(account[4], '.', 1, true) then
  return 'cold'
end
local seeded, before, answer = tonumber(account[4]), 0, 'ok'
local record = redis.call('GET', KEYS[3])
if record and record ~= ENDED then
  local _, hold, _, of = struct.unpack(RECORD, record)
  before = of == seeded and hold or 0
end
local amount = tonumber(ARGV[2])
local balance = tonumber(account[1]) - (tonumber(account[2]) or 0)
if amount > before then
  if balance < amount then
    answer, amount = 'balance', before
  elseif balance - (tonumber(account[3]) or 0) < amount - before then
    answer, amount = 'hold', before
  end
end
if amount ~= before then
  redis.call('HINCRBY', KEYS[1], 'held', string.format('%d', amount - before))
end
if amount == 0 then
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('DEL', KEYS[3])
else
  redis.call('ZADD', KEYS[2], string.format('%d', now + tonumber(ARGV[3])), ARGV[1])
  redis.call('SET', KEYS[3], struct.pack(RECORD, 1, amount, 0, seeded, 0, 0, 0, 0, 0)
    .. string.char(#EPOCH) .. EPOCH .. ARGV[4])
end
return answer
