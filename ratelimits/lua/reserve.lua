-- Set money aside for a purchase, or refuse it.
--
-- EPOCH   the epoch both stores are in (docs/stores.md)
-- KEYS    1 {s:NN}:acct:<account>, 2 {s:NN}:running, 3 {s:NN}:request:<request id> (as in state.lua)
-- ARGV    1 id of the purchase, 2 credits, 3 credits version (as the database
--         has them; the caller keeps them still), 4 amount in nano-dollars, 5 lease in ms, 6 the rest
--         of its record
-- Answer  'ok'       held, until the purchase is settled or its lease ends; asking again holds
--                    nothing more;
--         'hold'     the balance would do, but running requests hold too much of it;
--         'balance'  it would not;
--         'cold'     the account is not here, or was not made in this epoch, so no request can spend it.
--
-- A refusal takes nothing. Newer credits are adopted all the same, as in admit.lua. The purchase
-- is an open request without windows, a lease or an event: settle.lua ends it, at no cost. So it is in an
-- account that the release before made: its requests spend the same money.

--@ clock
--@ request
local account = redis.call('HMGET', KEYS[1], 'credits', 'credits_version', 'charged', 'held', 'seeded', 'epoch')
if not account[1] or account[6] ~= EPOCH then
  return 'cold'
end
if redis.call('EXISTS', KEYS[3]) == 1 then
  return 'ok'
end
local credits, amount = tonumber(account[1]), tonumber(ARGV[4])
if tonumber(ARGV[3]) > (tonumber(account[2]) or 0) then
  credits = tonumber(ARGV[2])
  redis.call('HSET', KEYS[1], 'credits', ARGV[2], 'credits_version', ARGV[3])
end
local balance = credits - (tonumber(account[3]) or 0)
if balance < amount then
  return 'balance'
end
if balance - (tonumber(account[4]) or 0) < amount then
  return 'hold'
end
redis.call('HINCRBY', KEYS[1], 'held', ARGV[4])
redis.call('ZADD', KEYS[2], string.format('%d', now + tonumber(ARGV[5])), ARGV[1])
redis.call('SET', KEYS[3], struct.pack(RECORD, 1, amount, 0, tonumber(account[5]), 0, 0, 0, 0, 0)
  .. string.char(#EPOCH) .. EPOCH .. ARGV[6])
return 'ok'
