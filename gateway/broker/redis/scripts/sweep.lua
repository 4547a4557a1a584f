-- Removes members that have expired.
-- Loaded after: presence.lua.
-- KEYS: those of presence.lua.
-- ARGV: none.
-- Reply: the members.
return purge()
