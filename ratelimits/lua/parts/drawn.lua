-- How much of what is set aside for its batch this request may take. A part of admit.lua; reads only.

earmark = redis.call('GET', KEYS[7])
if earmark and earmark ~= ENDED then
  local _, aside, _, of = struct.unpack(RECORD, earmark)
  drawn = of == tonumber(account[6]) and math.min(aside, tonumber(ARGV[5])) or 0
end
