-- Takes an instance out of sets. KEYS: the sets. ARGV: the instance. Returns, for each set, whether
-- nobody is in it.
local last = {}
for i, key in ipairs(KEYS) do
  redis.call('ZREM', key, ARGV[1])
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  last[i] = redis.call('ZCARD', key) == 0 and 1 or 0
end
return last
