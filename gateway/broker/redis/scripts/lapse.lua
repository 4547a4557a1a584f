-- Takes out channels whose occupants' time is over, and returns them. KEYS: the occupied channels.
-- ARGV: how many at most.
local lapsed = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
if #lapsed > 0 then
  redis.call('ZREM', KEYS[1], unpack(lapsed))
end
return lapsed
