-- Set money aside for a purchase, or refuse it.
--
-- KEYS    1 {s:NN}:acct:<account>, 2 {s:NN}:open, 3 {s:NN}:req:<request id> (as in state.lua)
-- ARGV    1 id of the purchase, 2 account, 3 subject, 4 credits, 5 credits version (as the database
--         has them; the caller keeps them still), 6 amount in nano-dollars, 7 lease in ms
-- Answer  'ok'       held, until the purchase is settled or its lease ends; asking again holds
--                    nothing more;
--         'hold'     the balance would do, but running requests hold too much of it;
--         'balance'  it would not;
--         'cold'     the account is not here, or was not made in this epoch, so no request can spend it.
--
-- A refusal takes nothing. Newer credits are adopted all the same, as in admit.lua. The purchase
-- is an open request without windows, a lease or an event: settle.lua ends it, at no cost.

local account = redis.call('HMGET', KEYS[1], 'credits', 'credits_version', 'charged', 'held', 'seeded', 'epoch')
if not account[1] or account[6] ~= EPOCH then
  return 'cold'
end
if redis.call('EXISTS', KEYS[3]) == 1 then
  return 'ok'
end
local credits, amount = tonumber(account[1]), tonumber(ARGV[6])
if tonumber(ARGV[5]) > (tonumber(account[2]) or 0) then
  credits = tonumber(ARGV[4])
  redis.call('HSET', KEYS[1], 'credits', ARGV[4], 'credits_version', ARGV[5])
end
local balance = credits - (tonumber(account[3]) or 0)
if balance < amount then
  return 'balance'
end
if balance - (tonumber(account[4]) or 0) < amount then
  return 'hold'
end
local clock = redis.call('TIME')
local deadline = clock[1] * 1000 + math.floor(clock[2] / 1000) + tonumber(ARGV[7])
redis.call('HINCRBY', KEYS[1], 'held', ARGV[6])
redis.call('ZADD', KEYS[2], string.format('%.0f', deadline), ARGV[1])
redis.call('HSET', KEYS[3], 'state', 'open', 'account', ARGV[2], 'subject', ARGV[3],
  'hold', ARGV[6], 'seeded', account[5], 'cost', 0, 'draft', '', 'epoch', EPOCH)
return 'ok'
