-- Shared by the scripts of the directory. Needs no other file.
-- now is the time in milliseconds of Redis's clock: the clocks of gateways may differ.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- extend makes a key expire with the longest TTL of its entries.
local function extend(key, ttl)
  redis.call('PEXPIRE', key, ttl, 'NX')
  redis.call('PEXPIRE', key, ttl, 'GT')
end
