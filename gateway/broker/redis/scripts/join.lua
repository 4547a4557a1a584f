-- Adds or renews a member.
-- Loaded after: presence.lua.
-- KEYS: those of presence.lua.
-- ARGV: 1 the client, 2 the member as presence.lua has it, 3 its user or '', 4 the TTL in milliseconds.
-- Reply: 1 whether a join is to be published, 1 or 0, 2 the members that have expired.
local client, member, user, ttl = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local known = redis.call('HGET', members, client)
if known then
  -- Even if it has expired: its leave has not been published. Its user may be another one now.
  remove(client, known)
end
local gone = purge()

local fresh = not known
if fresh and user ~= '' then
  local prefix = place(user, '')
  local waiting = redis.call('ZRANGEBYLEX', away, '[' .. prefix, '(' .. string.sub(prefix, 1, -2) .. ';', 'LIMIT', 0, 64)
  for _, found in ipairs(waiting) do
    local other = string.sub(found, #prefix + 1)
    if tonumber(redis.call('ZSCORE', untils, other) or 0) > now then
      remove(other, redis.call('HGET', members, other))
      fresh = false
      break
    end
  end
end

redis.call('HSET', members, client, member)
redis.call('ZADD', untils, now + ttl, client)
redis.call('HINCRBY', users, user, 1)
keep()
return {fresh and 1 or 0, gone}
