-- Takes an instance out of the sets of channels. ARGV: the instance. Returns, for each channel, whether
-- nobody is in its set.
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
