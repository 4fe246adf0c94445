-- Take `drawn` out of what is set aside for the batch of this request. A part of admit.lua.

local _, aside, none, of = struct.unpack(RECORD, earmark)
redis.call('SET', KEYS[7], struct.pack(RECORD, 1, aside - drawn, none, of, 0, 0, 0, 0, 0)
  .. string.sub(earmark, RECORD_BYTES + 1))
