-- What the scripts share that put gateways into sets. An instance is in a set until its time is over.

-- take puts an instance in, and returns 1 if nobody was in it.
local function take(set, instance, ttl)
  redis.call('ZREMRANGEBYSCORE', set, '-inf', now)
  local first = redis.call('ZCARD', set) == 0 and 1 or 0
  redis.call('ZADD', set, now + ttl, instance)
  extend(set, ttl)
  return first
end

-- drop takes an instance out, and returns 1 if nobody is in it.
local function drop(set, instance)
  redis.call('ZREM', set, instance)
  redis.call('ZREMRANGEBYSCORE', set, '-inf', now)
  return redis.call('ZCARD', set) == 0 and 1 or 0
end

