-- Note the newest fact of the books, so that a database without it is known to have gone back.
--
-- KEYS    1 {s:00}:mark  hash: number, name
-- ARGV    1 number (they rise), 2 name (no other has it)
-- Answer  1 if it is newer than what was noted, else 0; then nothing changed.

if tonumber(ARGV[1]) <= (tonumber(redis.call('HGET', KEYS[1], 'number')) or -1) then
  return 0
end
redis.call('HSET', KEYS[1], 'number', ARGV[1], 'name', ARGV[2])
return 1
