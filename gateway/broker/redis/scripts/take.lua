-- Adds a gateway to sets.
-- Loaded after: directory.lua, sets.lua.
-- KEYS: the sets.
-- ARGV: 1 the gateway, 2 the TTL in milliseconds.
-- Reply: for each set 1 when it was empty, else 0.
local first = {}
for i, key in ipairs(KEYS) do
  first[i] = take(key, ARGV[1], ARGV[2])
end
return first
