-- Shared by the scripts of presence. Needs no other file.
-- KEYS: 1 the hash of members by client, 2 the sorted set of clients by when they expire, 3 the hash of how many
-- clients each user has, 4 the sorted set of absent members by user. A member is written as '+', or '-' while it is absent, the
-- length of its user, a colon, the user, and what the scripts do not read.
-- now is the time in milliseconds of Redis's clock: the clocks of gateways may differ.
local members, untils, users, away = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local most, slack = 512, 600000

local function userOf(member)
  local length, start = string.match(member, '^.(%d+):()')
  return string.sub(member, start, start + length - 1)
end

-- place returns the member of KEYS[4] for a client. All clients of one user are next to each other.
local function place(user, client)
  return #user .. ':' .. user .. ':' .. client
end

local function remove(client, member)
  local user = userOf(member)
  redis.call('HDEL', members, client)
  redis.call('ZREM', untils, client)
  if redis.call('HINCRBY', users, user, -1) <= 0 then
    redis.call('HDEL', users, user)
  end
  if string.sub(member, 1, 1) == '-' then
    redis.call('ZREM', away, place(user, client))
  end
end

-- purge removes members that have expired, and returns them.
local function purge()
  local gone = {}
  for _, client in ipairs(redis.call('ZRANGEBYSCORE', untils, '-inf', now, 'LIMIT', 0, most)) do
    local member = redis.call('HGET', members, client)
    if member then
      remove(client, member)
      gone[#gone + 1] = member
    else
      redis.call('ZREM', untils, client)
    end
  end
  return gone
end

-- keep makes the keys expire some time after the last member, so that a call can still remove and return that one.
local function keep()
  local last = redis.call('ZRANGE', untils, -1, -1, 'WITHSCORES')[2]
  if last then
    for _, key in ipairs(KEYS) do
      redis.call('PEXPIREAT', key, string.format('%.0f', last + slack))
    end
  end
end
