-- Publishes a publication: appends it to the channel's stream, if it has one, and sends it to the subscribers. With an
-- idempotency key it does so once.
-- Loaded after: position.lua.
-- KEYS: with history the stream and its position; with an idempotency key, as the last, its result.
-- ARGV: 1 the publish command, 2 the channel's name in Redis, 3 the envelope, 4 the size of the history, 0 for none, 5
-- its TTL, 6 the position's TTL, 7 the epoch of a stream that has none, 8 the fingerprint, empty without an idempotency
-- key, 9 the result's TTL; TTLs are in milliseconds.
-- Reply: 1 whether it was published before, 1 or 0, 2 the fingerprint of that time, 3 the offset, 4 the epoch.
local command, channel, envelope = ARGV[1], ARGV[2], ARGV[3]
local size, ttl, positionTTL, epoch = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local fingerprint, remember = ARGV[8], ARGV[9]
local mark = fingerprint ~= '' and KEYS[#KEYS]

if mark then
  local first = redis.call('GET', mark)
  if first then
    local was, at = string.sub(first, 1, #fingerprint), #fingerprint + 1
    local colon = string.find(first, ':', at, true)
    return {1, was, string.sub(first, at, colon - 1), string.sub(first, colon + 1)}
  end
end

local offset = '0'
if size ~= '0' then
  local stream, position = KEYS[1], KEYS[2]
  local replicationID, known, top = current(redis.call('INFO', 'replication'), position)
  if known then
    epoch = known
  else
    -- Entries of an epoch that has ended.
    redis.call('DEL', stream)
  end
  local number = (top or 0) + 1
  offset = string.format('%d', number)
  redis.call('XADD', stream, 'MAXLEN', '=', size, offset .. '-0', 'p', envelope)
  redis.call('PEXPIRE', stream, ttl)
  redis.call('SET', position, replicationID .. epoch .. offset, 'PX', positionTTL)
  envelope = struct.pack('>BI8Bc0', 3, number, #epoch, epoch) .. envelope
else
  epoch = ''
end

if mark then
  redis.call('SET', mark, fingerprint .. offset .. ':' .. epoch, 'PX', remember)
end
redis.call(command, channel, envelope)
return {0, '', offset, epoch}
