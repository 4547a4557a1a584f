-- KEYS: what gateways say, until when. Returns what they say by instance, and the instances among them
-- whose time is over.
return {redis.call('HGETALL', KEYS[1]), redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now)}
