-- Reads part of a stream, and gives it an epoch if it has none.
-- KEYS: the stream and its position.
-- ARGV: the epoch, should there be none yet, and the ttl of one without a publication; the limit; the epoch and offset
-- to read on from, empty for an end of the stream; 1 for in reverse; how many bytes the entries may have, 0 for any
-- number.
-- Returns the top offset, the epoch and the entries.
local stream, position = KEYS[1], KEYS[2]
local limit, sinceEpoch, since, reverse = tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6] == '1'
local bytes = tonumber(ARGV[7])

local info = redis.call('INFO', 'replication')
if not string.find(info, 'role:master', 1, true) then
  -- A replica, and so a master that was made one, has its master's id, and less in its streams.
  return redis.error_reply("READONLY a replica does not know where a stream is")
end
local era, epoch, top = current(info, position)
if not epoch then
  epoch, top = ARGV[1], '0'
  redis.call('DEL', stream)
  redis.call('SET', position, era .. epoch .. top, 'PX', ARGV[2])
elseif top == '0' then
  redis.call('PEXPIRE', position, ARGV[2])
end

local read = {reverse and 'XREVRANGE' or 'XRANGE', stream, reverse and '+' or '-', reverse and '-' or '+'}
if since ~= '' then
  -- There is nothing before the first offset, and Redis knows no such range.
  if sinceEpoch ~= epoch or reverse and since == '0' then
    return {top, epoch, {}}
  end
  read[3] = '(' .. since .. '-0'
end
if limit == 0 then
  return {top, epoch, {}}
end
if bytes <= 0 then
  if limit > 0 then
    read[5], read[6] = 'COUNT', limit
  end
  return {top, epoch, redis.call(unpack(read))}
end

-- As many again as there are already, so that Redis reads little that does not fit.
local entries, count = {}, 1
while true do
  if limit > 0 then
    count = math.min(count, limit - #entries)
  end
  read[5], read[6] = 'COUNT', count
  local found = redis.call(unpack(read))
  for _, entry in ipairs(found) do
    bytes = bytes - #entry[2][2]
    if bytes < 0 and #entries > 0 then
      return {top, epoch, entries}
    end
    entries[#entries + 1] = entry
  end
  if bytes <= 0 or #found < count or #entries == limit then
    return {top, epoch, entries}
  end
  read[3] = '(' .. found[count][1]
  count = math.min(#entries, 64)
end
