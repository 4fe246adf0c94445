-- Tell Redis an account's newer terms or credits.
--
-- KEYS    1 {s:NN}:acct:<account> (as in state.lua)
-- ARGV    1 field: terms or credits, 2 version, 3 credits in nano-dollars (empty for terms)
-- Answer  1 if it was news, 0 if Redis knows as much or more; then nothing changed.
--
-- Late and repeated messages are harmless: only a higher version counts. Credits of an account whose
-- money is not seeded are not news either: seeding brings them together with what was charged.

local field = ARGV[1] == 'terms' and 'terms' or 'credits_version'
if tonumber(ARGV[2]) <= (tonumber(redis.call('HGET', KEYS[1], field)) or 0) then
  return 0
end
if field == 'terms' then
  redis.call('HSET', KEYS[1], 'terms', ARGV[2])
  return 1
end
if redis.call('HEXISTS', KEYS[1], 'credits') == 0 then
  return 0
end
redis.call('HSET', KEYS[1], 'credits', ARGV[3], 'credits_version', ARGV[2])
return 1
