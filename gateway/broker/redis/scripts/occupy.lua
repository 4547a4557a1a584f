-- Puts an instance into the sets of channels. ARGV: the instance, the ttl. Returns, for each channel,
-- whether nobody was in its set.
local ttl = tonumber(ARGV[2])
local first, lasting = {}, {}
for i = 2, #KEYS do
  first[i - 1] = take(KEYS[i], ARGV[1], ttl)
  lasting[#lasting + 1] = now + ttl
  lasting[#lasting + 1] = channelOf(KEYS[i])
end
redis.call('ZADD', occupied, 'GT', unpack(lasting))
-- Should all gateways be gone, the next to start is told what they had, within a day.
extend(occupied, ttl + 86400000)
return first
