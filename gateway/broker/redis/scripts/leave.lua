-- Removes a member, or lets it be absent for a grace.
-- Loaded after: presence.lua.
-- KEYS: those of presence.lua.
-- ARGV: 1 the client, 2 the grace in milliseconds.
-- Reply: 1 whether the member has left, 1 or 0, 2 the members that have expired.
local client, grace = ARGV[1], tonumber(ARGV[2])
local member = redis.call('HGET', members, client)
local left = 0
if member then
  local user = userOf(member)
  if grace <= 0 or user == '' then
    remove(client, member)
    left = 1
  else
    redis.call('HSET', members, client, '-' .. string.sub(member, 2))
    redis.call('ZADD', away, 0, place(user, client))
    redis.call('ZADD', untils, now + grace, client)
  end
end
local gone = purge()
keep()
return {left, gone}
