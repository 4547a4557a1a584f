-- Puts an instance into sets. KEYS: the sets. ARGV: the instance, the ttl. Returns, for each set,
-- whether nobody was in it.
local first = {}
for i, key in ipairs(KEYS) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  first[i] = redis.call('ZCARD', key) == 0 and 1 or 0
  redis.call('ZADD', key, now + ARGV[2], ARGV[1])
  extend(key, ARGV[2])
end
return first
