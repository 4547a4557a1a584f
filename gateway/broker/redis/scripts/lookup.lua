-- Reads the gateways that have connections of a user.
-- Loaded after: directory.lua.
-- KEYS: 1 the sorted set of the user's gateways by when their TTL is over.
-- ARGV: none.
-- Reply: the gateways whose TTL is not over.
return redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. string.format('%.0f', now), '+inf')
