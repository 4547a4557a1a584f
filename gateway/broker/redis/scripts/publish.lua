-- Publishes a publication once: to the channel's stream, if it has one, and to who is subscribed.
-- KEYS: with history the stream and its position; with an idempotency key what is remembered of it.
-- ARGV: the command, the channel, the envelope; the history's size, its ttl and its position's; the
-- epoch, should there be none yet; the fingerprint, empty without an idempotency key, and its ttl.
-- Returns whether it was published before, the fingerprint then, the offset and the epoch.
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
  local era, known, top = current(redis.call('INFO', 'replication'), position)
  if known then
    epoch = known
  else
    -- What is left of an epoch that is over.
    redis.call('DEL', stream)
  end
  local number = (top or 0) + 1
  offset = string.format('%d', number)
  redis.call('XADD', stream, 'MAXLEN', '=', size, offset .. '-0', 'p', envelope)
  redis.call('PEXPIRE', stream, ttl)
  redis.call('SET', position, era .. epoch .. offset, 'PX', positionTTL)
  envelope = struct.pack('>BI8Bc0', 3, number, #epoch, epoch) .. envelope
else
  epoch = ''
end

if mark then
  redis.call('SET', mark, fingerprint .. offset .. ':' .. epoch, 'PX', remember)
end
redis.call(command, channel, envelope)
return {0, '', offset, epoch}
