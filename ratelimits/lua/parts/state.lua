-- Where everything is that a request changes, and what is known of it. A part of the scripts that admit, settle
-- and announce, behind clock.lua and request.lua; it only reads.
--
-- KEYS, all with the hash tag {s:NN}, NN = account % 64, so that a Redis Cluster keeps them together:
--   1 {s:NN}:acct:<account>       hash: terms, credits, credits_version, charged, held (nano-dollars),
--                                 seeded (when it was last made anew, in microseconds; a hold counts only
--                                 if it was counted then or since; with a dot: by the release before,
--                                 which counts windows elsewhere), epoch (in which that was,
--                                 docs/stores.md), announced = how many requests were (announce.lua)
--   2 {s:NN}:subject:<subject>, 3 {s:NN}:log:<subject>  windows, the last minute, leases (subject.lua)
--   4 {s:NN}:running              zset: id of every open request of the shard -> its deadline (ms)
--   5 {s:NN}:request:<request id> its record (request.lua)
--   6 {s:NN}:spend:<purse>        hash: what the purse has spent (purse.lua)
--
-- The answer, packed (ratelimits/answers.py): status and binding (a byte each, numbered as there), wait
-- ms, hold, balance, held, now (microseconds), active, logged = requests in the last 60 s, frees = when the
-- request was admitted that will leave the minute next (microseconds; 0: there is none), since and used of the
-- windows 5h, daily, weekly and monthly, and of a purse with a cap spent and held in its day, its
-- month and its life. Balance is credits minus charged.

local ACCOUNT, SUBJECT, LOG, RUNNING, REQUEST, PURSE = unpack(KEYS)
local ANSWER = '>BBi8i8i8i8i8I4I4i8i8I4i8I4i8I4i8I4'
local stored = redis.call('MGET', SUBJECT, REQUEST)
local packed, record = stored[1], stored[2]
local ended = record and #record == 1
