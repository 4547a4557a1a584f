-- A stream's position is one text: the era, the epoch, the offset. The era is the replication id of the
-- server that wrote it, as its INFO has it. A replica that is promoted and a master that starts take
-- another id: what they have may lack the latest, whose offsets must not come again in the same epoch.
-- Hence an epoch is over when its era is. Only the server itself knows its id at this very moment, so it
-- is asked, and not the connection.

-- current is the era, and the epoch and offset of a position that is of it.
local function current(info, position)
  local known = redis.call('GET', position)
  if known then
    local era = string.sub(known, 1, 54)
    if string.find(info, era, 1, true) then
      return era, string.sub(known, 55, 62), string.sub(known, 63)
    end
  end
  local era = string.match(info, 'master_replid:' .. string.rep('%x', 40))
  return era or error('this Redis does not tell its replication id')
end

