-- Returns how many clients there are, and how many users. Only those whose time is over are looked at,
-- and no more of them than a sweep takes out.
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
