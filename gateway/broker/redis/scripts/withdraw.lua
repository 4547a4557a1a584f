-- Removes a gateway from the list.
-- Loaded after: no other file.
-- KEYS: 1 the hash of descriptions by gateway, 2 the sorted set of gateways by when their TTL is over.
-- ARGV: 1 the gateway.
-- Reply: 1 when it was listed, else 0.
redis.call('HDEL', KEYS[1], ARGV[1])
return redis.call('ZREM', KEYS[2], ARGV[1])
