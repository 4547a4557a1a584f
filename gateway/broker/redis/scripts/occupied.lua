-- Shared by the scripts that occupy and vacate channels. Needs directory.lua and sets.lua.
-- KEYS: 1 the sorted set of occupied channels by when the TTL of their last gateway is over, 2... the set of each
-- channel's gateways. A channel whose gateways have crashed is in KEYS[1] only: its set has expired.
local occupied = KEYS[1]

-- channelOf returns the channel of a set. The name of a set is KEYS[1], a colon and the channel.
local function channelOf(set)
  return string.sub(set, #occupied + 2)
end

