// Connecting: who is let in, for how long, and what a client is told when it is not.
import assert from 'node:assert/strict';
import { api, connect, connectAs, endpoint, gateway, gateways, make, now, pause, scenarios, subscribe, token, unique, until, Way } from './clients.mjs';

scenarios('connecting', (scenario, platform) => {
  scenario('without a token, the client has an id and no user', async (t, sdk) => {
    const { context } = await connect(t, sdk, gateways[0]);
    assert.match(context.client, /^[0-9a-f-]{36}$/);
    assert.equal(context.transport, 'websocket');
  });

  scenario('with a token, the fleet knows the user', async (t, sdk) => {
    const { user, context } = await connectAs(t, sdk, gateways[0]);
    const { connections } = await api(gateways[1], 'connections', { user });
    assert.equal(connections.length, 1);
    assert.equal(connections[0].id, context.client);
    assert.equal(connections[0].node, 'gateway-a');
  });

  scenario('with a token in the URL', async (t, sdk) => {
    const user = unique('user');
    const url = `${endpoint(gateways[0])}?token=${token({ sub: user })}`;
    const { context } = await connect(t, sdk, [{ transport: 'websocket', endpoint: url }]);
    const { connections } = await api(gateways[1], 'connections', { user });
    assert.deepEqual(connections.map((c) => c.id), [context.client]);
  });

  // Pages cannot set it.
  if (platform === 'node') {
    scenario('with a token in the Authorization header', async (t, sdk) => {
      const user = unique('user');
      const { context } = await connect(t, sdk, gateways[0], { headers: { Authorization: `Bearer ${token({ sub: user })}` } });
      const { connections } = await api(gateways[1], 'connections', { user });
      assert.deepEqual(connections.map((c) => c.id), [context.client]);
    });
  }

  for (const [what, bad] of Object.entries({
    'signed with another key': () => token({ sub: 'ann' }, { key: 'another key of thirty-two bytes!' }),
    'signed by nobody': () => token({ sub: 'ann' }, { alg: 'none' }),
    'for a subscription': () => token({ sub: 'ann', channel: 'room' }),
    'of tomorrow': () => token({ sub: 'ann', nbf: now() + 86_400 }),
    'that is none': () => 'not.a.token',
  })) {
    scenario(`a token ${what} ends in 3500, and the client stays away`, async (t, sdk) => {
      const way = await Way.to(t, gateways[0]);
      const { client, disconnected, connected } = make(t, sdk, way.address, { token: bad() });
      client.connect();
      assert.equal((await disconnected.next()).code, 3500);
      await pause(600); // twice the longest time that the client would wait
      assert.equal(client.state, 'disconnected');
      assert.equal(way.dials, 1);
      assert.equal(connected.unread, 0);
    });
  }

  scenario('an expired token makes the client get another, and connect', async (t, sdk) => {
    let asked = 0;
    const user = unique('user');
    const { disconnected } = await connect(t, sdk, gateways[0], {
      token: token({ sub: user, exp: now() - 1 }),
      getToken: async () => {
        asked++;
        return token({ sub: user, exp: now() + 60 });
      },
    });
    assert.equal(asked, 1);
    assert.equal(disconnected.unread, 0);
    assert.equal((await api(gateways[0], 'connections', { user })).connections.length, 1);
  });

  scenario('a user has only so many connections on a gateway: the oldest makes room, and stays away', async (t, sdk) => {
    const way = await Way.to(t, gateways[0]);
    const first = await connectAs(t, sdk, way.address);
    const others = [];
    for (let n = 0; n < 3; n++) others.push(await connectAs(t, sdk, gateways[0], { sub: first.user }));
    assert.equal((await first.disconnected.next()).code, 3504);
    await pause(600); // twice the longest time that the client would wait
    assert.equal(first.client.state, 'disconnected');
    assert.equal(way.dials, 1);
    for (const { client, connecting } of others) {
      assert.equal(client.state, 'connected');
      assert.equal(connecting.unread, 0);
    }
  });

  scenario('a connection that has gone silent does not lock its user out', async (t, sdk) => {
    const own = await gateway('--max-connections-per-user', '1', '--ping-interval', '4s', '--pong-timeout', '2s');
    const way = await Way.to(t, own.address);
    const { user } = await connectAs(t, sdk, way.address);
    way.mute();
    // At once, and again: the one that took the place may go silent, too.
    for (let n = 0; n < 2; n++) {
      const { client, disconnected } = await connectAs(t, sdk, way.address, { sub: user });
      assert.equal(disconnected.unread, 0);
      assert.equal(client.state, 'connected');
      way.mute();
    }
  });

  scenario('with the policy Refuse a user gets in when a silent connection is found out, and not before', async (t, sdk) => {
    const own = await gateway('--max-connections-per-user', '1', '--connections-per-user-policy', 'Refuse');
    const way = await Way.to(t, own.address);
    const { user } = await connectAs(t, sdk, way.address);
    const other = await Way.to(t, own.address);
    const second = make(t, sdk, other.address, { token: token({ sub: user }) });
    second.client.connect();
    await until('the second came back three times', () => other.dials > 3);
    assert.equal(second.connected.unread, 0);
    // The first would take its place again.
    way.up = false;
    way.mute();
    await second.connected.next();
    assert.equal(second.disconnected.unread, 0);
  });

  scenario('a gateway that was killed holds no place of its users', async (t, sdk) => {
    const limit = ['--max-connections-per-user', '1', '--connections-per-user-policy', 'Refuse'];
    const [doomed, other] = await Promise.all([gateway(...limit), gateway(...limit)]);
    const way = await Way.to(t, doomed.address);
    const { connected } = await connectAs(t, sdk, way.address);
    way.break();
    await doomed.kill();
    way.mend(other.address);
    await connected.next();
  });

  scenario('a token brings only so many channels', async (t, sdk) => {
    const channels = Array.from({ length: 9 }, () => unique('room'));
    const { client, disconnected } = make(t, sdk, gateways[0], { token: token({ sub: unique('user'), channels }) });
    client.connect();
    assert.equal((await disconnected.next()).code, 3505);
    assert.equal(client.state, 'disconnected');
  });

  scenario('the client stays connected through the gateway\'s pings', async (t, sdk) => {
    // These gateways ping every two seconds: a client that did not answer would be gone after four.
    const { client, connecting } = await connect(t, sdk, gateways[0]);
    await pause(6_000);
    assert.equal(connecting.unread, 0);
    assert.equal(client.state, 'connected');
  });
});

scenarios('tokens that end', (scenario) => {
  scenario('are exchanged over the same connection', async (t, sdk) => {
    const user = unique('user');
    const exchanged = { times: 0 };
    const getToken = async () => {
      exchanged.times++;
      return token({ sub: user, exp: now() + 2 });
    };
    const alice = await connect(t, sdk, gateways[0], { getToken });
    const channel = unique('room');
    const { publications } = await subscribe(alice, channel);
    await until('the token was exchanged twice', () => exchanged.times >= 3);
    await publishTo(alice, publications, channel);
    assert.equal(alice.connecting.unread + alice.disconnected.unread, 0);
    const { connections } = await api(gateways[1], 'connections', { user });
    assert.deepEqual(connections.map((c) => c.id), [alice.context.client]);
  });

  scenario('bring the channels and permissions of the next one', async (t, sdk) => {
    const user = unique('user');
    const [one, two, three] = ['one', 'two', 'three'].map(unique);
    const next = [
      { channels: [one, two], caps: [{ channels: ['token:*'], allow: ['sub'] }], exp: now() + 3 },
      { channels: [two, three], exp: now() + 60 },
    ];
    const ann = await connect(t, sdk, gateways[0], { getToken: async () => token({ sub: user, ...next.shift() }) });
    await ann.subscribed.take(2);
    const allowed = await subscribe(ann, unique('token'));
    const room = unique('room');
    const own = await subscribe(ann, room);
    assert.equal((await allowed.unsubscribed.next()).code, 2000);
    assert.equal((await ann.unsubscribed.next()).channel, one);
    assert.equal((await ann.subscribed.next()).channel, three);
    for (const channel of [one, two, three]) await api(gateways[1], 'publish', { channel, data: 'alive' });
    assert.deepEqual((await ann.publication.take(2)).map((p) => p.channel), [two, three]);
    await publishTo(ann, own.publications, room);
    assert.equal(ann.publication.unread + ann.connecting.unread + allowed.subscribing.unread, 0);
  });

  scenario('bring the client back when it gets one that has ended, too', async (t, sdk) => {
    const user = unique('user');
    const left = [2, -1];
    const alice = await connect(t, sdk, gateways[0], { getToken: async () => token({ sub: user, exp: now() + (left.shift() ?? 60) }) });
    assert.equal((await alice.connecting.next()).code, 3005);
    await alice.connected.next();
    assert.equal(alice.disconnected.unread, 0);
  });

  scenario('of subscriptions bring the client back when it gets one that has ended, too', async (t, sdk) => {
    const ann = await connectAs(t, sdk, gateways[0]);
    const channel = unique('token');
    const left = [2, -1];
    const s = await subscribe(ann, channel, { getToken: async () => token({ sub: ann.user, channel, exp: now() + (left.shift() ?? 60) }) });
    assert.equal((await s.subscribing.next()).code, 2501);
    await s.subscribed.next();
    await publishTo(ann, s.publications, channel);
    assert.equal(s.unsubscribed.unread + ann.disconnected.unread, 0);
  });

  scenario('cannot be exchanged for another user\'s', async (t, sdk) => {
    const alice = await connect(t, sdk, gateways[0], { token: token({ sub: unique('user'), exp: now() + 3 }), getToken: async () => token({ sub: 'mallory', exp: now() + 60 }) });
    assert.equal((await alice.disconnected.next()).code, 3500);
  });

  scenario('of subscriptions are exchanged, too', async (t, sdk) => {
    const ann = await connectAs(t, sdk, gateways[0]);
    const channel = unique('token');
    let times = 0;
    const s = await subscribe(ann, channel, {
      getToken: async (asked) => {
        assert.equal(asked.channel, channel);
        times++;
        return token({ sub: ann.user, channel, exp: now() + 2 });
      },
    });
    await until('the token was exchanged twice', () => times >= 3);
    await publishTo(ann, s.publications, channel);
    assert.equal(s.subscribing.unread + s.unsubscribed.unread + s.error.unread, 0);
  });

  scenario('of subscriptions cannot be exchanged for another channel\'s', async (t, sdk) => {
    const ann = await connectAs(t, sdk, gateways[0]);
    const channel = unique('token');
    const tokens = [token({ sub: ann.user, channel, exp: now() + 3 }), token({ sub: ann.user, channel: unique('token') })];
    const s = await subscribe(ann, channel, { getToken: async () => tokens.shift() });
    assert.equal((await s.unsubscribed.next()).code, 103);
    assert.equal(ann.disconnected.unread, 0);
  });

  scenario('of subscriptions that are over make the client get another', async (t, sdk) => {
    const ann = await connectAs(t, sdk, gateways[0]);
    const channel = unique('token');
    let times = 0;
    await subscribe(ann, channel, {
      token: token({ sub: ann.user, channel, exp: now() - 1 }),
      getToken: async () => {
        times++;
        return token({ sub: ann.user, channel });
      },
    });
    assert.equal(times, 1);
  });
});

// A publication through the other gateway shows that the subscription lives.
async function publishTo({ sdk }, publications, channel) {
  await api(gateways[1], 'publish', { channel, data: 'alive' });
  assert.equal(sdk.value((await publications.next()).data), 'alive');
}

scenarios('disconnecting', (scenario) => {
  scenario('3503 is what a backend says unless it says something else, and final', async (t, sdk) => {
    const { user, client, disconnected } = await connectAs(t, sdk, gateways[0]);
    await api(gateways[1], 'disconnect', { user });
    assert.equal((await disconnected.next()).code, 3503);
    assert.equal(client.state, 'disconnected');
  });

  scenario('after 3001 the client is back, with its subscriptions', async (t, sdk) => {
    const channel = unique('room');
    const alice = await connectAs(t, sdk, gateways[0]);
    const s = await subscribe(alice, channel);
    await api(gateways[1], 'disconnect', { user: alice.user, disconnect: { code: 3001, reason: 'shutdown' } });
    assert.deepEqual(await alice.connecting.next(), { code: 3001, reason: 'shutdown' });
    assert.notEqual((await alice.connected.next()).client, alice.context.client);
    await s.subscribed.next();
    await publishTo(alice, s.publications, channel);
  });

  scenario('the code says whether the client comes back', async (t, sdk) => {
    const { user, client, connecting, connected, disconnected } = await connectAs(t, sdk, gateways[0]);
    const disconnect = (code) => api(gateways[1], 'disconnect', { user, disconnect: { code, reason: `because of ${code}` } });
    for (const code of [3000, 3499, 4000, 4499]) {
      await disconnect(code);
      assert.deepEqual(await connecting.next(), { code, reason: `because of ${code}` });
      await connected.next();
    }
    assert.equal(disconnected.unread, 0);
    for (const code of [3500, 3501, 3507, 3999, 4500, 4999]) {
      await disconnect(code);
      assert.deepEqual(await disconnected.next(), { code, reason: `because of ${code}` });
      assert.equal(connecting.unread, 0);
      client.connect();
      await connecting.next();
      await connected.next();
    }
  });

  scenario('who does not answer pings is disconnected with 3012, and is back', async (t, sdk) => {
    const way = await Way.to(t, gateways[0]);
    const { connecting, connected } = await connect(t, sdk, way.address);
    way.mute();
    assert.equal((await connecting.next()).code, 3012);
    await connected.next();
  });

  scenario('who sends more than the rate is disconnected with 4008, and is back', async (t, sdk) => {
    const { connecting, connected, client } = await connect(t, sdk, gateways[0]);
    const channel = unique('anybody');
    const sent = Promise.allSettled(Array.from({ length: 300 }, () => client.publish(channel, sdk.data('spam'))));
    assert.equal((await connecting.next()).code, 4008);
    await connected.next();
    assert.ok((await sent).some(({ status }) => status === 'rejected'));
  });

  scenario('a backend\'s own code and reason reach the client', async (t, sdk) => {
    const { user, disconnected } = await connectAs(t, sdk, gateways[0]);
    await api(gateways[1], 'disconnect', { user, disconnect: { code: 4501, reason: 'banned' } });
    assert.deepEqual(await disconnected.next(), { code: 4501, reason: 'banned' });
  });

  scenario('who is whitelisted stays', async (t, sdk) => {
    const spared = await connectAs(t, sdk, gateways[0]);
    const other = await connectAs(t, sdk, gateways[1], { sub: spared.user });
    await api(gateways[1], 'disconnect', { user: spared.user, whitelist: [spared.context.client] });
    assert.equal((await other.disconnected.next()).code, 3503);
    assert.equal((await api(gateways[1], 'connections', { user: spared.user })).connections.length, 1);
    assert.equal(spared.disconnected.unread, 0);
  });

  scenario('with revoke the tokens of before are worth nothing on any gateway', async (t, sdk) => {
    const user = unique('user');
    const old = token({ sub: user, iat: now() });
    const alice = await connect(t, sdk, gateways[0], { token: old });
    await api(gateways[1], 'disconnect', { user, revoke: true, disconnect: { code: 3001, reason: 'log in again' } });
    assert.equal((await alice.connecting.next()).code, 3001);
    assert.equal((await alice.disconnected.next()).code, 3500);
    const again = make(t, sdk, gateways[1], { token: old });
    again.client.connect();
    assert.equal((await again.disconnected.next()).code, 3500);
    const revoked = now();
    await until('the next second', () => now() > revoked); // tokens know whole seconds only
    await connect(t, sdk, gateways[1], { token: token({ sub: user, iat: now() }) });
  });
});
