-- A lease of `length` ms; `deadline` is when it ends, maybe a little later than that. A part of the scripts, behind subject.lua.

local deadline = now + length
if #leases >= 12 * CROWD then
  local step = math.max(math.floor(length / 16), 1)
  deadline = math.ceil(deadline / step) * step
end
do
  local place, known, count = #leases + 1, 0, 0
  while place > 1 do
    known, count = struct.unpack(LEASE, leases, place - 12)
    if known < deadline then
      break
    end
    place = place - 12
  end
  local same = place <= #leases and struct.unpack(LEASE, leases, place) == deadline
  if same then
    known, count = struct.unpack(LEASE, leases, place)
  end
  leases = string.sub(leases, 1, place - 1) .. struct.pack(LEASE, deadline, same and count + 1 or 1)
    .. string.sub(leases, same and place + 12 or place)
  active = active + 1
end
