-- Counts the members and their users, without those that have expired. It reads expired members only, and at most as
-- many as one call removes.
-- Loaded after: presence.lua.
-- KEYS: those of presence.lua.
-- ARGV: none.
-- Reply: 1 the number of clients, 2 the number of users.
local clients, distinct = redis.call('HLEN', members), redis.call('HLEN', users)
local over = {}
for _, client in ipairs(redis.call('ZRANGEBYSCORE', untils, '-inf', now, 'LIMIT', 0, most)) do
  local member = redis.call('HGET', members, client)
  if member then
    local user = userOf(member)
    clients = clients - 1
    over[user] = (over[user] or 0) + 1
    if over[user] == tonumber(redis.call('HGET', users, user)) then
      distinct = distinct - 1
    end
  end
end
return {clients, distinct}
