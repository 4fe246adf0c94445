-- Take back a lease that ends at `lease` (0: none). One that is over is there no more. A part of the scripts, behind subject.lua.

if lease > now then
  for place = 1, #leases, 12 do
    local known, count = struct.unpack(LEASE, leases, place)
    if known == lease then
      local rest = count > 1 and struct.pack(LEASE, lease, count - 1) or ''
      leases = string.sub(leases, 1, place - 1) .. rest .. string.sub(leases, place + 12)
      active = active - 1
      break
    end
  end
end
