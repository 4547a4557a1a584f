-- What the scripts about members share.
-- KEYS: members by client; clients by when their time is over; how many clients each user has; who is
-- away. A member is written as + or, when it is away, -, the length of its user, a colon, the user,
-- and what the script does not read. The clock is that of Redis: those of gateways may differ.
local members, untils, users, away = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local most, slack = 512, 600000

local function userOf(member)
  local length, start = string.match(member, '^.(%d+):()')
  return string.sub(member, start, start + length - 1)
end

-- Who is away is found by its user: all of one user follow each other.
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

-- Takes out whose time is over, and returns them.
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

-- Lets all of it be over some time after the last member, for somebody to take that one out.
local function keep()
  local last = redis.call('ZRANGE', untils, -1, -1, 'WITHSCORES')[2]
  if last then
    for _, key in ipairs(KEYS) do
      redis.call('PEXPIREAT', key, string.format('%.0f', last + slack))
    end
  end
end
