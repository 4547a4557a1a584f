-- Gives members another TTL. A member that is absent counts as missing, and keeps its grace.
-- Loaded after: presence.lua.
-- KEYS: those of presence.lua.
-- ARGV: 1 the TTL in milliseconds, 2... the clients.
-- Reply: 1 the clients that are missing, 2 the members that have expired.
local ttl = tonumber(table.remove(ARGV, 1))
local missing, renewed = {}, {}
for i, member in ipairs(redis.call('HMGET', members, unpack(ARGV))) do
  if member and string.sub(member, 1, 1) == '+' then
    renewed[#renewed + 1] = now + ttl
    renewed[#renewed + 1] = ARGV[i]
  else
    missing[#missing + 1] = ARGV[i]
  end
end
if #renewed > 0 then
  redis.call('ZADD', untils, unpack(renewed))
end
local gone = purge()
keep()
return {missing, gone}
