-- Count what a purse's overflow is charged more, or less, for requests it has paid for already.
--
-- KEYS    1 {s:NN}:overflow:<purse> (as in overflow.lua)
-- ARGV    1 the month, as the number of its first day since 1970, 2 by how many nano-dollars it changes
-- Answer  1, or 0 if that month is over, or the overflow not seeded here. Seeding reads the books, which
--         the caller has corrected.

if redis.call('HGET', KEYS[1], 'month') ~= ARGV[1] then
  return 0
end
redis.call('HINCRBY', KEYS[1], 'spent', ARGV[2])
return 1
