-- What the scripts about channels' occupants share.
-- KEYS: the occupied channels by when the last occupant's time is over; the sets of occupants. A channel
-- whose occupants have gone without a word is found there and nowhere else: its set is just over.
local occupied = KEYS[1]

-- A set is called as the occupied channels are, with a colon and the channel.
local function channelOf(set)
  return string.sub(set, #occupied + 2)
end

