-- Reads the members, without those that have expired.
-- Loaded after: presence.lua.
-- KEYS: those of presence.lua.
-- ARGV: 1 the maximum number of bytes of the members, 0 for no bound, 2 how many bytes each takes besides its text.
-- Reply: 1 whether they take more bytes, 1 or 0, 2 the members, as client and member in turn; none if they take more.
local bytes, beside = tonumber(ARGV[1]), tonumber(ARGV[2])
local over, count = {}, redis.call('HLEN', members)
for _, client in ipairs(redis.call('ZRANGEBYSCORE', untils, '-inf', now)) do
  over[client], count = true, count - 1
end
if bytes > 0 and count * beside > bytes then
  return {1, {}}
end

local found, size, cursor = {}, 0, '0'
repeat
  local part = redis.call('HSCAN', members, cursor, 'COUNT', 64)
  cursor = part[1]
  for i = 1, #part[2], 2 do
    local client, member = part[2][i], part[2][i + 1]
    if not over[client] then
      size = size + #client + #member + beside
      found[#found + 1], found[#found + 2] = client, member
    end
  end
  if bytes > 0 and size > bytes then
    return {1, {}}
  end
until cursor == '0'
return {0, found}
