-- The record of one request. A part of the scripts that read or write it.
--
-- {s:NN}:request:<request id>  string. Of one that has ended: a single zero byte. Of an open one:
--   1 (a byte); numbers of 8 bytes: hold, cost, seeded = of the account when its hold was counted in `held`
--   (0: it is not), at = when it was admitted (microseconds; 0: a purchase, which counts in no window),
--   lease = its deadline among the subject's leases (ms; 0: none), spend = `seeded` of the purse its hold
--   is counted in (0: in none); in 4 bytes each the UTC day it was admitted on and the month it is counted in
--   there (0: in none), as purse.lua numbers them;
--   its epoch with its length in front (a byte); then what its gateway says of it, as it is sent
--   (records.py): account (8 bytes), subject, purse (with lengths), the windows it was announced
--   with (with their length, 0: it was not: each since and used), and the draft of its usage event

local RECORD, RECORD_BYTES, ENDED = '>Bi8i8di8i8dI4I4', 57, '\0'
