// The Centrifuge SDK as its users install it, on two gateways that share a Redis.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Inbox, connect, gateways, plain, publish, subscribe } from './clients.mjs';

const options = { timeout: 30_000 };

test('connect names the client and asks it to answer pings', options, async (t) => {
  const { context } = await connect(t, gateways[0]);
  assert.match(context.client, /^[0-9a-f-]{36}$/);
  assert.equal(context.transport, 'websocket');
});

test('a publication reaches the subscribers of both gateways', options, async (t) => {
  const alice = await connect(t, gateways[0]);
  const bob = await connect(t, gateways[1]);
  const a = await subscribe(alice.client, 'room');
  const b = await subscribe(bob.client, 'room');
  for (let n = 0; n < 20; n++) {
    await a.subscription.publish({ n, from: 'alice' });
    assert.deepEqual((await b.inbox.next()).data, { n, from: 'alice' });
    assert.deepEqual((await a.inbox.next()).data, { n, from: 'alice' });
  }
});

test('a backend publishes to one gateway, the clients of both have it', options, async (t) => {
  const clients = await Promise.all(gateways.map((g) => connect(t, g)));
  const subscriptions = await Promise.all(clients.map(({ client }) => subscribe(client, 'news')));
  assert.deepEqual(await publish(gateways[0], { channel: 'news', data: { headline: 'both' } }), { status: 200, body: { result: {} } });
  for (const { inbox } of subscriptions) assert.deepEqual((await inbox.next()).data, { headline: 'both' });
});

test('after unsubscribe nothing arrives, and subscribing again works', options, async (t) => {
  const { client } = await connect(t, gateways[0]);
  const { subscription, inbox } = await subscribe(client, 'leave');
  const witness = await subscribe((await connect(t, gateways[0])).client, 'leave');
  subscription.unsubscribe();
  // A reply to a later command of the same connection proves that the gateway has seen the unsubscribe.
  await subscribe(client, 'leave-barrier');
  await publish(gateways[1], { channel: 'leave', data: 'unseen' });
  assert.equal((await witness.inbox.next()).data, 'unseen');
  subscription.subscribe();
  await subscription.ready(10_000);
  await publish(gateways[1], { channel: 'leave', data: 'seen' });
  assert.equal((await inbox.next()).data, 'seen');
  assert.equal(inbox.unread, 0);
});

test('a plain client and a Centrifuge client share a channel', options, async (t) => {
  const { client } = await connect(t, gateways[0]);
  const { subscription, inbox } = await subscribe(client, 'mixed');
  const socket = await plain(t, gateways[1], 'channel=mixed');
  socket.socket.send(JSON.stringify({ from: 'plain' }));
  assert.deepEqual((await inbox.next()).data, { from: 'plain' });
  assert.deepEqual(JSON.parse(await socket.next()), { from: 'plain' });
  await subscription.publish({ from: 'centrifuge' });
  assert.deepEqual(JSON.parse(await socket.next()), { from: 'centrifuge' });
});

test('what the gateway does not allow comes back as an error, and the connection lives on', options, async (t) => {
  const { client } = await connect(t, gateways[0]);
  const disconnected = new Inbox(client, 'disconnected');
  await assert.rejects(client.publish('room', 'not subscribed'), (error) => error.code === 103);
  await assert.rejects(client.history('room', { limit: 1 }), (error) => error.code === 108);
  await subscribe(client, 'still-alive');
  assert.equal(disconnected.unread, 0);
});

test('the client stays connected through the gateway\'s pings', options, async (t) => {
  // The gateways of this test ping every two seconds: a client that did not answer would be gone after four.
  const { client } = await connect(t, gateways[0]);
  const connecting = new Inbox(client, 'connecting');
  await new Promise((resolve) => setTimeout(resolve, 6_000));
  assert.equal(connecting.unread, 0);
  assert.equal(client.state, 'connected');
});
