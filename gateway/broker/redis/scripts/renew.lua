-- ARGV: the ttl, the clients. Returns who is missing, and who is gone. Who is away is missing, and
-- keeps its grace.
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
