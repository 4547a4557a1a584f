-- KEYS: what gateways say, until when. ARGV: the instance.
redis.call('HDEL', KEYS[1], ARGV[1])
return redis.call('ZREM', KEYS[2], ARGV[1])
