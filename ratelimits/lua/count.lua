-- Make what a subject has counted anew from the database; before its account is (seed.lua).
--
-- EPOCH   the epoch both stores are in (docs/stores.md)
-- KEYS    1 {s:NN}:acct:<account>, 2 {s:NN}:subject:<subject>, 3 {s:NN}:log:<subject> (as in state.lua)
--         4 {s:NN}:windows:<subject>, 5 {s:NN}:rpm:<subject>: the same as the release before keeps it
--         then request:<id> of each request that has ended although its record may say it is open
-- ARGV    1 subject, 2..9 when its four windows opened (ms, 0 = not open) and how many requests each
--         counts; then when each request of the last minute was admitted (microseconds)
-- Answer  1, or 0 if the account was made in this epoch already; then nothing changed.
--
-- Set, never added, so any number of callers may race. An account without an epoch was taken out of it to
-- be made anew, one of this epoch was made by the release before: nothing of either was lost, so of
-- its windows the higher count is kept.

local ACCOUNT, SUBJECT, LOG = unpack(KEYS)
local packed = redis.call('GET', SUBJECT)
--@ clock
--@ request
--@ subject
--@ record
--@ minute
local account = redis.call('HMGET', ACCOUNT, 'epoch', 'seeded')
local before = account[1] == EPOCH and string.find(account[2], '.', 1, true)
if account[1] == EPOCH and not before then
  return 0
end
for i = 6, #KEYS do
  local record = redis.call('GET', KEYS[i])
  if record and record ~= ENDED and who(record) == ARGV[1] then
    local _, _, _, _, _, lease = struct.unpack(RECORD, record)
    --@ unlease
  end
end

-- A window, unless a newer one is known, or the same one with more requests.
local function open_window(i, since, used)
  local known, counted = windows[2 * i - 1], windows[2 * i]
  if used > 0 and now < since + LENGTHS[i] and (since > known or since == known and used > counted) then
    windows[2 * i - 1], windows[2 * i] = since, used
  end
end

local minute = {}
if account[1] and not before then
  for i = 1, 8 do
    windows[i] = 0
  end
else
  for _, at in ipairs(entries()) do
    minute[at] = true
  end
  for i, name in ipairs({'5h', 'daily', 'weekly', 'monthly'}) do
    local kept = redis.call('HMGET', KEYS[4], name, name .. '.used')
    open_window(i, tonumber(kept[1]) or 0, tonumber(kept[2]) or 0)
  end
  local kept = redis.call('ZRANGE', KEYS[5], string.format('%d', after), '+inf', 'BYSCORE', 'WITHSCORES')
  for i = 2, #kept, 2 do
    minute[tonumber(kept[i])] = true
  end
end
for i = 1, 4 do
  open_window(i, tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1]))
end
for i = 10, #ARGV do
  minute[tonumber(ARGV[i])] = true
end
local times = {}
for at in pairs(minute) do
  times[#times + 1] = at > after and at or nil
end
relog(times)
if active == 0 and logged == 0 and windows[1] + windows[3] + windows[5] + windows[7] == 0 then
  redis.call('DEL', SUBJECT)
  return 1
end
expires = (windows[7] > 0 and windows[7] + LENGTHS[4] - now or 0) + LENGTHS[3]
--@ keep
return 1
