-- Puts an instance into sets. KEYS: the sets. ARGV: the instance, the ttl. Returns, for each set,
-- whether nobody was in it.
local first = {}
for i, key in ipairs(KEYS) do
  first[i] = take(key, ARGV[1], ARGV[2])
end
return first
