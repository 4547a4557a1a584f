-- Sets the time up to which a user's tokens are revoked, unless a later time is set.
-- Loaded after: no other file.
-- KEYS: 1 the user's revocation.
-- ARGV: 1 the time, padded to 20 digits, 2 the TTL in milliseconds.
-- Reply: 1.
local before = redis.call('GET', KEYS[1])
if before and before > ARGV[1] then
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
