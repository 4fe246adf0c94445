-- To read what is behind the numbers of a record (request.lua). A part of the scripts that seldom run.

-- Text with its length in front, and where it ends.
local function text_at(record, from)
  local behind = from + 1 + string.byte(record, from)
  return string.sub(record, from + 1, behind - 1), behind
end

-- Its epoch, and what its gateway said of it.
local function parts_of(record)
  local epoch, from = text_at(record, RECORD_BYTES + 1)
  return epoch, string.sub(record, from)
end

-- Its subject and its purse.
local function who(record)
  local _, from = text_at(record, RECORD_BYTES + 1)
  local subject, behind = text_at(record, from + 8)
  return subject, (text_at(record, behind))
end

-- All between its numbers and its draft.
local function before_draft(record)
  local _, from = text_at(record, RECORD_BYTES + 1)
  from = from + 8
  for _ = 1, 3 do
    _, from = text_at(record, from)
  end
  return string.sub(record, RECORD_BYTES + 1, from - 1)
end
