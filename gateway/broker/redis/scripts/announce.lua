-- KEYS: what gateways say, until when. ARGV: the instance, what it says, the ttl.
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
