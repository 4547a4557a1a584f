-- Reads a part of a stream. A stream that has no epoch gets one.
-- Loaded after: position.lua.
-- KEYS: 1 the stream, 2 its position.
-- ARGV: 1 the epoch of a stream that has none, 2 the TTL in milliseconds of a position without a publication, 3 the
-- limit, negative for none, 4 the epoch, empty for any, and 5 the offset to read on from, empty to read from an end, 6
-- '1' to read in reverse, 7 the maximum number of bytes of the entries, 0 for no bound.
-- Reply: 1 the top offset, 2 the epoch, 3 the entries as XRANGE returns them. An error on a replica.
local stream, position = KEYS[1], KEYS[2]
local limit, sinceEpoch, since, reverse = tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6] == '1'
local bytes = tonumber(ARGV[7])

local info = redis.call('INFO', 'replication')
if not string.find(info, 'role:master', 1, true) then
  -- A replica has its master's replication ID and may lack the end of its streams. So does a former master.
  return redis.error_reply("READONLY a replica does not know where a stream is")
end
local replicationID, epoch, top = current(info, position)
if not epoch then
  epoch, top = ARGV[1], '0'
  redis.call('DEL', stream)
  redis.call('SET', position, replicationID .. epoch .. top, 'PX', ARGV[2])
elseif top == '0' then
  redis.call('PEXPIRE', position, ARGV[2])
end

local read = {reverse and 'XREVRANGE' or 'XRANGE', stream, reverse and '+' or '-', reverse and '-' or '+'}
if since ~= '' then
  -- Before offset 0 there is nothing, and Redis refuses such a range.
  if sinceEpoch ~= '' and sinceEpoch ~= epoch or reverse and since == '0' then
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

-- Reads as many entries again as were read before, so that Redis reads few that do not fit.
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
