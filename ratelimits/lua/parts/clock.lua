-- All of a script happens at one moment. A part of every script that needs the time.

local clock = redis.call('TIME')
local micros = clock[1] * 1000000 + clock[2]
local now = math.floor(micros / 1000)
