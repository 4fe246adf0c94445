-- What admit.lua and settle.lua share; its text is sent in front of theirs. It only reads.
--
-- KEYS, all with the hash tag {s:NN}, NN = account % 64, so that a Redis Cluster keeps them together:
--   1 {s:NN}:acct:<account>     hash: terms, credits, credits_version, charged, held (nano-dollars),
--                               seeded (when it was last made anew; a hold counts only if it was counted then
--                               or since), epoch (in which that was, docs/stores.md; none: by the last release)
--   2 {s:NN}:windows:<subject>  hash: <name> = when the window opened (ms), <name>.used = requests in it
--   3 {s:NN}:rpm:<subject>      zset: request id -> when it was admitted, in microseconds: a
--                               truncated millisecond could let N + 1 requests into 60 s
--   4 {s:NN}:leases:<subject>   zset: id of a running request -> its deadline (ms)
--   5 {s:NN}:open               zset: id of every open request of the shard -> its deadline (ms)
--   6 {s:NN}:spend:<purse>      hash: what the purse has spent (as in spend.lua)
--   7 {s:NN}:req:<request id>   hash: state (open, settled), account, subject, hold, seeded, cost, draft,
--                               <name> = the window it was counted in (when that opened), epoch, at = when it
--                               was admitted (microseconds), purse; announced anew, <name>.used; with a
--                               spend cap also spend, spend.day, spend.month, spend.life = epoch and
--                               periods it is in
--
-- The answer: {status, binding, wait ms, hold, balance, held, active, now (microseconds),
-- then used and ms until reset for each of rpm, 5h, daily, weekly, monthly, and of a purse with a cap
-- spent, held and ms until reset for the day, the month and its life (0: never)}. Balance is credits minus charged. Integers only: Redis drops the fraction of any number a script returns.

local ACCOUNT, WINDOWS, LOG, LEASES, OPEN, SPEND, REQUEST = unpack(KEYS)
local NAMES = {'5h', 'daily', 'weekly', 'monthly'}
local LENGTHS = {18000000, 86400000, 604800000, 2592000000} -- ms
local MINUTE = 60000000 -- microseconds

local clock = redis.call('TIME')
local micros = clock[1] * 1000000 + clock[2]
local now = math.floor(micros / 1000)

-- Redis prints large numbers of Lua in exponents, which HINCRBY refuses.
local function int(number)
  return string.format('%.0f', number)
end

local since, used = {}, {} -- of the windows; since[i] is nil unless window i is open
local stored = redis.call('HMGET', WINDOWS, '5h', '5h.used', 'daily', 'daily.used',
  'weekly', 'weekly.used', 'monthly', 'monthly.used')
for i = 1, 4 do
  local opened = tonumber(stored[2 * i - 1])
  if opened and now < opened + LENGTHS[i] then
    since[i], used[i] = opened, tonumber(stored[2 * i])
  else
    used[i] = 0
  end
end

-- A clock set back must not promise a reset further away than the window is long.
local function resets(i)
  return since[i] and math.min(since[i] + LENGTHS[i] - now, LENGTHS[i]) or 0
end

-- How many requests the last 60 s hold, and ms until the next slot of `limit` frees.
local function read_log(limit)
  local after = '(' .. int(micros - MINUTE)
  local count = redis.call('ZCOUNT', LOG, after, '+inf')
  if count == 0 then
    return 0, 0
  end
  local skip = limit > 0 and math.max(count - limit, 0) or 0
  local at = redis.call('ZRANGE', LOG, after, '+inf', 'BYSCORE', 'LIMIT', skip, 1, 'WITHSCORES')[2]
  return count, math.ceil(math.min(at + MINUTE - micros, MINUTE) / 1000)
end

local function read_active()
  return redis.call('ZCOUNT', LEASES, '(' .. int(now), '+inf')
end

local function answer(status, binding, wait, hold, balance, held, active, logged, log_resets)
  return {status, binding, wait, hold, balance, held, active, micros, logged, log_resets,
    used[1], resets(1), used[2], resets(2), used[3], resets(3), used[4], resets(4)}
end
