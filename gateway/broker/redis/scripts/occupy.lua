-- Adds a gateway to the sets of channels.
-- Loaded after: directory.lua, sets.lua, occupied.lua.
-- KEYS: those of occupied.lua.
-- ARGV: 1 the gateway, 2 the TTL in milliseconds.
-- Reply: for each channel 1 when its set was empty, else 0.
local ttl = tonumber(ARGV[2])
local first, lasting = {}, {}
for i = 2, #KEYS do
  first[i - 1] = take(KEYS[i], ARGV[1], ttl)
  lasting[#lasting + 1] = now + ttl
  lasting[#lasting + 1] = channelOf(KEYS[i])
end
redis.call('ZADD', occupied, 'GT', unpack(lasting))
-- If all gateways crash, the next gateway that starts within a day gets their channels.
extend(occupied, ttl + 86400000)
return first
