-- Take over a request of the release before whose gateway has died: from now on it is one of ours.
--
-- KEYS    1 {s:NN}:open, 2 {s:NN}:running, 3 {s:NN}:req:<request id>: its record as the release before keeps it
--         4 {s:NN}:request:<request id> (as in request.lua)
-- ARGV    1 request id
-- Answer  1, or 0 if its deadline is ahead, or it has ended; then nothing changed.
--
-- To that release it has ended, as if it had been reaped: if its gateway was only slow, it is told so.

--@ clock
--@ request
local LONG_MARKER = 86400000 -- ms
local deadline = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]))
local record = redis.call('HMGET', KEYS[3],
  'state', 'hold', 'cost', 'seeded', 'at', 'spend', 'account', 'subject', 'purse', 'draft', 'epoch',
  'spend.day', 'spend.month')
if not deadline or deadline > now then
  return 0
end
redis.call('ZREM', KEYS[1], ARGV[1])
if record[1] ~= 'open' then
  return 0
end
redis.call('HSET', KEYS[3], 'state', 'settled', 'draft', '')
redis.call('PEXPIRE', KEYS[3], LONG_MARKER)
redis.call('ZADD', KEYS[2], string.format('%d', deadline), ARGV[1])
local function number(i)
  return tonumber(record[i]) or 0
end
local function text(i)
  return string.char(#(record[i] or '')) .. (record[i] or '')
end
redis.call('SET', KEYS[4], struct.pack(RECORD, 1, number(2), number(3), number(4), number(5), 0, number(6),
  record[12] and number(12) or math.floor(number(5) / 86400000000), number(13))
  .. text(11) .. struct.pack('>i8', number(7)) .. text(8) .. text(9) .. '\0' .. (record[10] or ''))
return 1
