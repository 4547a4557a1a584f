-- Keeps the latest time. KEYS: the user's revocation. ARGV: the time, of as many digits as any; the
-- ttl.
local before = redis.call('GET', KEYS[1])
if before and before > ARGV[1] then
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
