-- Removes a gateway from sets.
-- Loaded after: directory.lua, sets.lua.
-- KEYS: the sets.
-- ARGV: 1 the gateway.
-- Reply: for each set 1 when it is empty now, else 0.
local last = {}
for i, key in ipairs(KEYS) do
  last[i] = drop(key, ARGV[1])
end
return last
