-- Takes an instance out of sets. KEYS: the sets. ARGV: the instance. Returns, for each set, whether
-- nobody is in it.
local last = {}
for i, key in ipairs(KEYS) do
  last[i] = drop(key, ARGV[1])
end
return last
