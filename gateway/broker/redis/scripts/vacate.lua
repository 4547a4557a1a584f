-- Removes a gateway from the sets of channels.
-- Loaded after: directory.lua, sets.lua, occupied.lua.
-- KEYS: those of occupied.lua.
-- ARGV: 1 the gateway.
-- Reply: for each channel 1 when its set is empty now, else 0.
local last, vacated, lasting = {}, {}, {}
for i = 2, #KEYS do
  last[i - 1] = drop(KEYS[i], ARGV[1])
  if last[i - 1] == 1 then
    vacated[#vacated + 1] = channelOf(KEYS[i])
  else
    lasting[#lasting + 1] = redis.call('ZRANGE', KEYS[i], -1, -1, 'WITHSCORES')[2]
    lasting[#lasting + 1] = channelOf(KEYS[i])
  end
end
if #vacated > 0 then
  redis.call('ZREM', occupied, unpack(vacated))
end
if #lasting > 0 then
  redis.call('ZADD', occupied, unpack(lasting))
end
return last
