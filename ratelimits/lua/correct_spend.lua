-- Count what a purse is charged more, or less, for requests it has paid for already.
--
-- KEYS    1 {s:NN}:spend:<purse> (as in spend.lua)
-- ARGV    for each period: its name, its id, and by how many nano-dollars it changes
-- Answer  how many of them were counted: a period that is over, and a purse that is not seeded
--         here, is left alone. Seeding reads the books, which the caller has corrected.

local counted = 0
for i = 1, #ARGV, 3 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then
    redis.call('HINCRBY', KEYS[1], ARGV[i] .. '.spent', ARGV[i + 2])
    counted = counted + 1
  end
end
return counted
