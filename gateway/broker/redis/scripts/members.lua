-- Returns all members by client, and the clients among them whose time is over.
return {redis.call('HGETALL', members), redis.call('ZRANGEBYSCORE', untils, '-inf', now)}
