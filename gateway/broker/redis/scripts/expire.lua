-- Removes channels whose TTL is over. It returns none while the gateways that are alive may not have renewed theirs:
-- what kept them from renewing kept all gateways from calling this script, too.
-- Loaded after: directory.lua.
-- KEYS: 1 the sorted set of occupied channels by when their TTL is over, 2 since when gateways call this script.
-- ARGV: 1 the maximum number of channels, 2 how long gateways must have called it, 3 the longest pause between two
-- calls, both in milliseconds.
-- Reply: the channels.
redis.call('SET', KEYS[2], now, 'NX')
redis.call('PEXPIRE', KEYS[2], ARGV[3])
if now - redis.call('GET', KEYS[2]) < tonumber(ARGV[2]) then
  return {}
end
local expired = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
if #expired > 0 then
  redis.call('ZREM', KEYS[1], unpack(expired))
end
return expired
