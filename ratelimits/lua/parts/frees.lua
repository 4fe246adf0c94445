-- When the request was admitted whose leaving makes room for another one within `rpm` (0: no limit): the
-- oldest, unless the limit was lowered. A part of the scripts, behind subject.lua.

local frees = 0
if rpm > 0 and logged > rpm then
  --@ minute
  frees = entries()[logged - rpm + 1]
elseif logged > 0 then
  frees = struct.unpack('>i8', heads ~= '' and heads or tails)
end
