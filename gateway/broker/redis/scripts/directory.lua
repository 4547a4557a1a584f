-- What the scripts of the directory share. The clock is that of Redis: those of gateways may differ.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- Lets a key be over with the longest of what is in it.
local function extend(key, ttl)
  redis.call('PEXPIRE', key, ttl, 'NX')
  redis.call('PEXPIRE', key, ttl, 'GT')
end
