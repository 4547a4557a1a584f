-- Adds or renews a member. A new one takes the place of a member of its user that is absent, which expires.
-- Loaded after: presence.lua.
-- KEYS: those of presence.lua.
-- ARGV: 1 the client, 2 the member as presence.lua has it, 3 its user or '', 4 the TTL in milliseconds.
-- Reply: what it did, as broker.Joined has it.
local client, member, user, ttl = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local known = redis.call('HGET', members, client)
local joined = 1
if known then
  -- Even if it has expired: its leave has not been published. Its user may be another one now.
  remove(client, known)
  joined = 0
elseif user ~= '' then
  local prefix = place(user, '')
  local waiting = redis.call('ZRANGEBYLEX', away, '[' .. prefix, '(' .. string.sub(prefix, 1, -2) .. ';', 'LIMIT', 0, 64)
  for _, found in ipairs(waiting) do
    joined = 2
    local other = string.sub(found, #prefix + 1)
    if tonumber(redis.call('ZSCORE', untils, other) or 0) > now then
      redis.call('ZADD', untils, now, other)
      break
    end
  end
end

redis.call('HSET', members, client, member)
redis.call('ZADD', untils, now + ttl, client)
redis.call('HINCRBY', users, user, 1)
keep()
return joined
