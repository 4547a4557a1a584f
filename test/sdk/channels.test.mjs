// Channels: subscribing, publishing, history, and what a channel's rule allows.
import assert from 'node:assert/strict';
import { code, connect, connectAs, gateways, plain, prepare, publish, scenarios, subscribe, token, unique } from './clients.mjs';

scenarios('messages', (scenario) => {
  scenario('a publication reaches the subscribers of both gateways, in order', async (t, sdk) => {
    const channel = unique('room');
    const alice = await subscribe(await connect(t, sdk, gateways[0]), channel);
    const bob = await subscribe(await connect(t, sdk, gateways[1]), channel);
    const sent = [];
    for (let n = 0; n < 20; n++) {
      sent.push({ n, from: 'alice' });
      await alice.subscription.publish(sdk.data(sent[n]));
    }
    assert.deepEqual(await alice.values(20), sent);
    assert.deepEqual(await bob.values(20), sent);
  });

  scenario('a backend publishes to one gateway, the clients of both have it, with its tags', async (t, sdk) => {
    const channel = unique('news');
    const clients = await Promise.all(gateways.map((g) => connect(t, sdk, g)));
    const subscriptions = await Promise.all(clients.map((c) => subscribe(c, channel)));
    assert.deepEqual(await publish(gateways[0], channel, { headline: 'both' }, { tags: { lang: 'en' } }), {});
    for (const { publications } of subscriptions) {
      const publication = await publications.next();
      assert.deepEqual(sdk.value(publication.data), { headline: 'both' });
      assert.deepEqual({ ...publication.tags }, { lang: 'en' });
      assert.equal(publication.info, undefined);
    }
  });

  scenario('who published is said with a publication', async (t, sdk) => {
    const channel = unique('room');
    const witness = await subscribe(await connect(t, sdk, gateways[1]), channel);
    const ann = await connectAs(t, sdk, gateways[0], { info: { name: 'Ann' } });
    await (await subscribe(ann, channel)).subscription.publish(sdk.data('hello'));
    const { info } = await witness.publications.next();
    assert.equal(info.user, ann.user);
    assert.equal(info.client, ann.context.client);
    assert.deepEqual(sdk.value(info.connInfo), { name: 'Ann' });
  });

  scenario('who published without a token is said by id', async (t, sdk) => {
    const channel = unique('room');
    const witness = await subscribe(await connect(t, sdk, gateways[1]), channel);
    const anonymous = await connect(t, sdk, gateways[0]);
    await (await subscribe(anonymous, channel)).subscription.publish(sdk.data('hello'));
    const { info } = await witness.publications.next();
    assert.equal(info.client, anonymous.context.client);
    assert.equal(info.user, '');
  });

  scenario('after unsubscribe nothing arrives, and subscribing again works', async (t, sdk) => {
    const channel = unique('leave');
    const alice = await connect(t, sdk, gateways[0]);
    const { subscription, publications, subscribed, unsubscribed } = await subscribe(alice, channel);
    const witness = await subscribe(await connect(t, sdk, gateways[0]), channel);
    subscription.unsubscribe();
    assert.equal((await unsubscribed.next()).code, 0);
    // A reply to a later command of the same connection proves that the gateway has seen the unsubscribe.
    await subscribe(alice, unique('barrier'));
    await publish(gateways[1], channel, 'unseen');
    assert.deepEqual(await witness.values(1), ['unseen']);
    subscription.subscribe();
    await subscribed.next();
    await publish(gateways[1], channel, 'seen');
    assert.equal(sdk.value((await publications.next()).data), 'seen');
    assert.equal(publications.unread, 0);
  });

  scenario('what a plain client sends and what the SDK sends is one channel', async (t, sdk) => {
    const channel = unique('mixed');
    const { subscription, publications } = await subscribe(await connect(t, sdk, gateways[0]), channel);
    const socket = await plain(t, gateways[1], `channel=${channel}`);
    socket.socket.send(JSON.stringify({ from: 'plain' }));
    assert.deepEqual(sdk.value((await publications.next()).data), { from: 'plain' });
    assert.deepEqual(JSON.parse(await socket.next()), { from: 'plain' });
    await subscription.publish(sdk.data({ from: 'centrifuge' }));
    assert.deepEqual(JSON.parse(await socket.next()), { from: 'centrifuge' });
    await publications.next();
    socket.socket.send(Buffer.from([0, 1, 254, 255]));
    const { data } = await publications.next();
    if (sdk.name === 'json') assert.equal(data, 'AAH+/w==');
    else assert.deepEqual([...data], [0, 1, 254, 255]);
  });

  scenario('a publication with a key is made once, however often it is sent', async (t, sdk) => {
    const channel = unique('recover');
    const alice = await connect(t, sdk, gateways[0]);
    const bob = await subscribe(await connect(t, sdk, gateways[1]), channel);
    await subscribe(alice, channel);
    const once = async (data) => sdk.value((await alice.client.rpc('wsfleet.publish', sdk.data({ channel, data, idempotency_key: 'order-42' }))).data);
    const first = await once({ paid: 42 });
    assert.equal(first.offset, 1);
    assert.equal(first.repeated, undefined);
    assert.deepEqual(await once({ paid: 42 }), { ...first, repeated: true });
    await assert.rejects(once({ paid: 43 }), code(107));
    await publish(gateways[0], channel, 'next');
    assert.deepEqual(await bob.values(2), [{ paid: 42 }, 'next']);
  });
});

scenarios('history', (scenario) => {
  scenario('is read forwards, backwards, from a position, and in part', async (t, sdk) => {
    const channel = unique('history');
    const { subscription } = await subscribe(await connect(t, sdk, gateways[0]), channel);
    for (let n = 1; n <= 5; n++) await publish(gateways[n % 2], channel, n);
    const read = async (query) => {
      const { publications, offset, epoch } = await subscription.history(query);
      assert.equal(offset, 5);
      assert.ok(epoch);
      for (const p of publications) assert.equal(p.offset, sdk.value(p.data));
      return { epoch, numbers: publications.map((p) => p.offset) };
    };
    const { epoch, numbers } = await read({});
    assert.deepEqual(numbers, []);
    assert.deepEqual((await read({ limit: 100 })).numbers, [1, 2, 3, 4, 5]);
    assert.deepEqual((await read({ limit: -1 })).numbers, [1, 2, 3, 4, 5]);
    assert.deepEqual((await read({ limit: 2 })).numbers, [1, 2]);
    assert.deepEqual((await read({ limit: 2, reverse: true })).numbers, [5, 4]);
    assert.deepEqual((await read({ limit: 2, since: { offset: 2, epoch } })).numbers, [3, 4]);
    assert.deepEqual((await read({ limit: 100, reverse: true, since: { offset: 4, epoch } })).numbers, [3, 2, 1]);
    assert.deepEqual((await read({ limit: 100, since: { offset: 5, epoch } })).numbers, []);
    await assert.rejects(subscription.history({ limit: 1, since: { offset: 2, epoch: 'another' } }), code(112));
    await assert.rejects(subscription.history({ limit: 1001 }), code(106));
  });

  scenario('is not there where the rule has none, nor for who is not subscribed', async (t, sdk) => {
    const alice = await connect(t, sdk, gateways[0]);
    const { subscription } = await subscribe(alice, unique('room'));
    await assert.rejects(subscription.history({ limit: 1 }), code(108));
    await assert.rejects(subscription.presence(), code(108));
    await assert.rejects(alice.client.history(unique('history'), { limit: 1 }), code(103));
    const reader = await connectAs(t, sdk, gateways[0], { caps: [{ channels: ['history:*'], allow: ['hst'] }] });
    assert.deepEqual((await reader.client.history(unique('history'), { limit: 1 })).publications, []);
  });
});

scenarios('rules', (scenario) => {
  scenario('say who may publish', async (t, sdk) => {
    const alice = await connect(t, sdk, gateways[0]);
    await assert.rejects(alice.client.publish(unique('room'), sdk.data('not subscribed')), code(103));

    const closed = unique('nobody');
    const { subscription, publications } = await subscribe(alice, closed);
    await assert.rejects(subscription.publish(sdk.data('no client')), code(103));
    await publish(gateways[1], closed, 'a backend');
    assert.equal(sdk.value((await publications.next()).data), 'a backend');

    const open = unique('anybody');
    const listener = await subscribe(await connect(t, sdk, gateways[1]), open);
    await alice.client.publish(open, sdk.data('from outside'));
    assert.deepEqual(await listener.values(1), ['from outside']);
    assert.equal(alice.disconnected.unread + alice.connecting.unread, 0);
  });

  scenario('say who may subscribe', async (t, sdk) => {
    const [closed, members] = [unique('token'), unique('authenticated')];
    const refused = async (client, channel, settings) => {
      const s = prepare(client, channel, settings);
      s.subscription.subscribe();
      assert.equal((await s.unsubscribed.next()).code, 103);
      client.client.removeSubscription(s.subscription);
    };
    const nobody = await connect(t, sdk, gateways[0]);
    await refused(nobody, closed);
    await refused(nobody, members);
    const ann = await connectAs(t, sdk, gateways[0]);
    await refused(ann, closed);
    await refused(ann, closed, { token: token({ sub: ann.user, channel: unique('token') }) });
    await refused(ann, closed, { token: token({ sub: 'somebody else', channel: closed }) });
    await refused(ann, closed, { token: token({ sub: ann.user, channel: closed }, { key: 'another key of thirty-two bytes!' }) });
    await subscribe(ann, members);
    await subscribe(ann, closed, { token: token({ sub: ann.user, channel: closed }) });
    const bob = await connectAs(t, sdk, gateways[0], { caps: [{ channels: ['token:*'], allow: ['sub'] }] });
    await subscribe(bob, closed);
  });

  scenario('do not take away what tokens give', async (t, sdk) => {
    const channel = unique('nobody');
    const writer = await connectAs(t, sdk, gateways[0], { caps: [{ channels: ['nobody:*'], allow: ['pub'] }] });
    const listener = await subscribe(await connect(t, sdk, gateways[1]), channel);
    await writer.client.publish(channel, sdk.data('by caps'));
    const ann = await connectAs(t, sdk, gateways[0]);
    const { subscription } = await subscribe(ann, channel, { token: token({ sub: ann.user, channel, allow: ['pub'] }) });
    await subscription.publish(sdk.data('by the subscription'));
    assert.deepEqual(await listener.values(2), ['by caps', 'by the subscription']);
  });

  scenario('a connection has only so many channels', async (t, sdk) => {
    const alice = await connect(t, sdk, gateways[0]);
    for (let n = 0; n < 8; n++) await subscribe(alice, unique('room'));
    const s = prepare(alice, unique('room'));
    s.subscription.subscribe();
    assert.equal((await s.unsubscribed.next()).code, 106);
    assert.equal(alice.client.state, 'connected');
  });
});
