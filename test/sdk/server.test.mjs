// What the server does with clients by itself: subscriptions that a token or a backend gives, and what
// the server API asks of one gateway for clients of another.
import assert from 'node:assert/strict';
import { api, apiKey, call, connectAs, gateways, now, publish, scenarios, subscribe, unique } from './clients.mjs';

scenarios('subscriptions that a token gives', (scenario) => {
  scenario('bring publications, joins and leaves', async (t, sdk) => {
    const channels = [unique('present'), unique('token')];
    const ann = await connectAs(t, sdk, gateways[0], { channels });
    const subscribed = await ann.subscribed.take(2);
    assert.deepEqual(subscribed.map((s) => s.channel).sort(), [...channels].sort());
    await publish(gateways[1], channels[1], 'news');
    const publication = await ann.publication.next();
    assert.equal(publication.channel, channels[1]);
    assert.equal(sdk.value(publication.data), 'news');

    const bob = await connectAs(t, sdk, gateways[1]);
    const { subscription } = await subscribe(bob, channels[0]);
    const [own, joined] = await ann.join.take(2);
    assert.equal(own.channel, channels[0]);
    assert.equal(own.info.client, ann.context.client);
    assert.equal(joined.channel, channels[0]);
    assert.equal(joined.info.user, bob.user);
    subscription.unsubscribe();
    const left = await ann.leave.next();
    assert.equal(left.channel, channels[0]);
    assert.equal(left.info.user, bob.user);
  });
});

scenarios('a backend', (scenario) => {
  scenario('subscribes and unsubscribes a user of another gateway', async (t, sdk) => {
    const channel = unique('token');
    const ann = await connectAs(t, sdk, gateways[0]);
    await api(gateways[1], 'subscribe', { user: ann.user, channel });
    assert.equal((await ann.subscribed.next()).channel, channel);
    await publish(gateways[1], channel, 'for members');
    assert.equal(sdk.value((await ann.publication.next()).data), 'for members');
    await api(gateways[1], 'unsubscribe', { user: ann.user, channel });
    assert.equal((await ann.unsubscribed.next()).channel, channel);
    await publish(gateways[1], channel, 'unseen');
    await api(gateways[1], 'send', { user: ann.user, data: 'barrier' });
    await ann.message.next();
    assert.equal(ann.publication.unread, 0);
  });

  scenario('subscribes with what was published since, and with what others see', async (t, sdk) => {
    const channel = unique('present');
    for (let n = 1; n <= 4; n++) await publish(gateways[1], channel, n);
    const { epoch } = await api(gateways[1], 'history', { channel });
    const ann = await connectAs(t, sdk, gateways[0]);
    await api(gateways[1], 'subscribe', { user: ann.user, channel, info: { role: 'guest' }, recover_since: { offset: 1, epoch } });
    const { streamPosition } = await ann.subscribed.next();
    // It goes on from there with each that it applies.
    assert.equal(streamPosition.offset, 1);
    assert.deepEqual((await ann.publication.take(3)).map((p) => sdk.value(p.data)), [2, 3, 4]);
    const { presence } = await api(gateways[1], 'presence', { channel });
    assert.deepEqual(presence[ann.context.client].chan_info, { role: 'guest' });
    await publish(gateways[0], channel, 5);
    assert.equal(sdk.value((await ann.publication.next()).data), 5);
  });

  scenario('ends a subscription that the client made, and the client does not make it again', async (t, sdk) => {
    const channel = unique('room');
    const ann = await connectAs(t, sdk, gateways[0]);
    const s = await subscribe(ann, channel);
    await api(gateways[1], 'unsubscribe', { user: ann.user, channel });
    assert.equal((await s.unsubscribed.next()).code, 2000);
    assert.equal(s.subscription.state, 'unsubscribed');
  });

  scenario('sends to a user wherever it is, and to one connection', async (t, sdk) => {
    const ann = await connectAs(t, sdk, gateways[0]);
    const again = await connectAs(t, sdk, gateways[1], { sub: ann.user });
    assert.deepEqual(await api(gateways[1], 'send', { user: ann.user, data: { to: 'all' } }), { reached: 2 });
    for (const { message } of [ann, again]) assert.deepEqual(sdk.value((await message.next()).data), { to: 'all' });
    assert.deepEqual(await api(gateways[1], 'send', { client: ann.context.client, data: { to: 'one' } }), { reached: 1 });
    assert.deepEqual(sdk.value((await ann.message.next()).data), { to: 'one' });
    assert.equal(again.message.unread, 0);
    assert.deepEqual(await api(gateways[1], 'send', { user: unique('user'), data: 'nobody' }), { reached: 0 });
  });

  scenario('ends a connection as if its token had, and the client is back with its own', async (t, sdk) => {
    const ann = await connectAs(t, sdk, gateways[0]);
    await api(gateways[1], 'refresh', { user: ann.user, expire_at: now() + 3600 });
    await subscribe(ann, unique('room'));
    assert.equal(ann.connecting.unread, 0);
    await api(gateways[1], 'refresh', { user: ann.user, expired: true });
    assert.equal((await ann.connecting.next()).code, 3005);
    await ann.connected.next();
  });

  scenario('sees channels, connections and gateways from anywhere', async (t, sdk) => {
    const channel = unique('room');
    const clients = [await connectAs(t, sdk, gateways[0]), await connectAs(t, sdk, gateways[1])];
    for (const client of clients) await subscribe(client, channel);
    for (const [i, g] of gateways.entries()) {
      assert.deepEqual((await api(g, 'channels', { pattern: `${channel.slice(0, 12)}*` })).channels, { [channel]: { num_clients: 2 } });
      const { connections } = await api(g, 'connections', { channel });
      assert.deepEqual(connections.map((c) => c.id).sort(), clients.map((c) => c.context.client).sort());
      const { nodes } = await api(g, 'info');
      const [a, b] = ['gateway-a', 'gateway-b'].map((name) => nodes.find((n) => n.name === name));
      assert.ok(a && b, 'each knows both');
      assert.ok([a, b][i].num_clients > 0);
    }
  });

  scenario('looks at one connection, sends to it and closes it', async (t, sdk) => {
    const ann = await connectAs(t, sdk, gateways[0]);
    const ask = async (method, { query = '', body } = {}) => {
      const response = await fetch(`http://${gateways[1]}/api/connections/${ann.context.client}${query}`, {
        method, headers: { 'X-API-Key': apiKey }, body: body && JSON.stringify(body),
      });
      return { status: response.status, ...(await response.json()) };
    };
    const looked = await ask('GET');
    assert.equal(looked.result.user, ann.user);
    assert.equal(looked.result.protocol, sdk.name);
    assert.equal((await ask('POST', { body: { data: { hello: 'Ann' } } })).status, 200);
    assert.deepEqual(sdk.value((await ann.message.next()).data), { hello: 'Ann' });
    assert.equal((await ask('DELETE', { query: '?code=4500&reason=bye' })).status, 200);
    assert.deepEqual(await ann.disconnected.next(), { code: 4500, reason: 'bye' });
    const gone = await ask('GET');
    assert.deepEqual([gone.status, gone.error.code], [404, 104]);
  });

  scenario('without the key may do nothing', async () => {
    for (const key of ['', 'another key']) {
      const { status, body } = await call(gateways[0], 'publish', { channel: 'room', data: 1 }, key);
      assert.deepEqual([status, body.error.code], [401, 101]);
    }
  });
});
