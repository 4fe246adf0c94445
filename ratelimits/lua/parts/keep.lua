-- Write how a subject stands now. A part of the scripts, behind subject.lua.

if taken > 0 then
  redis.call('LPOP', LOG, taken)
elseif taken < 0 then
  redis.call('DEL', LOG)
end
packed = struct.pack(HEAD, windows[1], windows[2], windows[3], windows[4], windows[5], windows[6], windows[7],
  windows[8], between, active, #heads / 8, #tails / 8) .. heads .. tails .. leases
if expires then
  redis.call('SET', SUBJECT, packed, 'PX', string.format('%d', expires))
else
  redis.call('SET', SUBJECT, packed, 'KEEPTTL')
end
