-- Lists a gateway for a TTL, and removes gateways whose TTL is over.
-- Loaded after: directory.lua.
-- KEYS: 1 the hash of descriptions by gateway, 2 the sorted set of gateways by when their TTL is over.
-- ARGV: 1 the gateway, 2 its description, 3 the TTL in milliseconds.
-- Reply: 1.
local about, untils = KEYS[1], KEYS[2]
for _, over in ipairs(redis.call('ZRANGEBYSCORE', untils, '-inf', now, 'LIMIT', 0, 512)) do
  redis.call('HDEL', about, over)
  redis.call('ZREM', untils, over)
end
redis.call('HSET', about, ARGV[1], ARGV[2])
redis.call('ZADD', untils, now + ARGV[3], ARGV[1])
extend(about, ARGV[3])
extend(untils, ARGV[3])
return 1
