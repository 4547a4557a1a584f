-- Shared by the scripts that keep sets of gateways. Needs directory.lua. A gateway is in a set until its TTL is over.

-- take adds a gateway, and returns 1 if the set was empty.
local function take(set, instance, ttl)
  redis.call('ZREMRANGEBYSCORE', set, '-inf', now)
  local first = redis.call('ZCARD', set) == 0 and 1 or 0
  redis.call('ZADD', set, now + ttl, instance)
  extend(set, ttl)
  return first
end

-- drop removes a gateway, and returns 1 if the set is empty now.
local function drop(set, instance)
  redis.call('ZREM', set, instance)
  redis.call('ZREMRANGEBYSCORE', set, '-inf', now)
  return redis.call('ZCARD', set) == 0 and 1 or 0
end

