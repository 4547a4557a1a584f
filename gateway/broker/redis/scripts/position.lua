-- Shared by the scripts that read and write streams. Needs no other file.
-- A stream's position is one text: the replication ID, 54 bytes, the epoch, 8 bytes, and the offset. The replication ID
-- is the line of INFO with the ID of the server that wrote the position. A replica that is promoted and a master that
-- starts take another ID: what they have may lack the latest publications, whose offsets must not come again in the
-- same epoch. Therefore an epoch ends with the replication ID. Only the server knows its ID at this very moment, so the
-- script asks for it instead of the connection.

-- current returns the replication ID, and the epoch and offset of a position that was written under it.
local function current(info, position)
  local known = redis.call('GET', position)
  if known then
    local replicationID = string.sub(known, 1, 54)
    if string.find(info, replicationID, 1, true) then
      return replicationID, string.sub(known, 55, 62), string.sub(known, 63)
    end
  end
  local replicationID = string.match(info, 'master_replid:' .. string.rep('%x', 40))
  return replicationID or error('this Redis does not tell its replication id')
end

