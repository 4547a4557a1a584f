-- Reads the listed gateways.
-- Loaded after: directory.lua.
-- KEYS: 1 the hash of descriptions by gateway, 2 the sorted set of gateways by when their TTL is over.
-- ARGV: none.
-- Reply: 1 the descriptions, as gateway and description in turn, 2 the gateways among them whose TTL is over.
return {redis.call('HGETALL', KEYS[1]), redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now)}
