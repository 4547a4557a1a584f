-- Takes out channels whose occupants' time is over, and returns them, or nothing while those who are there may not
-- have renewed theirs: whatever kept them from that kept others from asking as well.
-- KEYS: the occupied channels; since when gateways ask. ARGV: how many at most; how long they must have asked; the
-- longest break that counts as none.
redis.call('SET', KEYS[2], now, 'NX')
redis.call('PEXPIRE', KEYS[2], ARGV[3])
if now - redis.call('GET', KEYS[2]) < tonumber(ARGV[2]) then
  return {}
end
local lapsed = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
if #lapsed > 0 then
  redis.call('ZREM', KEYS[1], unpack(lapsed))
end
return lapsed
