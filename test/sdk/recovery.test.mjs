// Recovery: what was published while a client was away is there when it is back, once and in order, or
// the client is told that it is not.
import assert from 'node:assert/strict';
import { api, connect, connectAs, gateway, gateways, loseStream, make, prepare, publish, scenarios, subscribe, unique, Way } from './clients.mjs';

// The numbers from one to another, each a publication through the gateways in turn.
async function number(channel, from, to) {
  const numbers = [];
  for (let n = from; n <= to; n++) {
    await publish(gateways[n % 2], channel, n);
    numbers.push(n);
  }
  return numbers;
}

scenarios('recovery', (scenario) => {
  scenario('after the connection was cut', async (t, sdk) => {
    const channel = unique('recover');
    const way = await Way.to(t, gateways[0]);
    const alice = await connect(t, sdk, way.address);
    const s = await subscribe(alice, channel);
    assert.ok(s.context.recoverable && s.context.positioned);
    assert.equal(s.context.wasRecovering, false);
    assert.deepEqual(await number(channel, 1, 3), await s.values(3));
    way.break();
    assert.equal((await alice.connecting.next()).code, 1);
    const missed = await number(channel, 4, 40);
    way.mend();
    const { wasRecovering, recovered, streamPosition } = await s.subscribed.next();
    assert.deepEqual({ wasRecovering, recovered, offset: streamPosition.offset }, { wasRecovering: true, recovered: true, offset: 3 });
    assert.deepEqual(await s.values(37), missed);
    assert.deepEqual(await number(channel, 41, 42), await s.values(2));
    assert.equal(s.publications.unread, 0);
  });

  scenario('again and again, while publications go on', async (t, sdk) => {
    const channel = unique('recover');
    const way = await Way.to(t, gateways[0]);
    const alice = await connect(t, sdk, way.address);
    const s = await subscribe(alice, channel);
    const publishing = number(channel, 1, 90);
    for (let n = 1; n <= 4; n++) {
      way.break();
      way.mend(gateways[n % 2]);
      await alice.connected.next();
      assert.equal((await s.subscribed.next()).recovered, true);
    }
    assert.deepEqual(await s.values(90), await publishing);
    assert.equal(s.publications.unread, 0);
  });

  scenario('on another gateway after the one it was on was killed', async (t, sdk) => {
    const channel = unique('recover');
    const doomed = await gateway();
    const way = await Way.to(t, doomed.address);
    const alice = await connect(t, sdk, way.address);
    const s = await subscribe(alice, channel);
    assert.deepEqual(await number(channel, 1, 2), await s.values(2));
    await doomed.kill();
    await alice.connecting.next();
    const missed = await number(channel, 3, 12);
    way.mend(gateways[1]);
    const { wasRecovering, recovered } = await s.subscribed.next();
    assert.deepEqual({ wasRecovering, recovered }, { wasRecovering: true, recovered: true });
    assert.deepEqual(await s.values(10), missed);
    assert.equal(s.publications.unread, 0);
  });

  scenario('on the same gateway after it was killed and started again', async (t, sdk) => {
    const channel = unique('recover');
    const doomed = await gateway();
    const alice = await connect(t, sdk, doomed.address);
    const s = await subscribe(alice, channel);
    assert.deepEqual(await number(channel, 1, 2), await s.values(2));
    await doomed.kill();
    await alice.connecting.next();
    const missed = await number(channel, 3, 12);
    await doomed.restart();
    const { wasRecovering, recovered } = await s.subscribed.next();
    assert.deepEqual({ wasRecovering, recovered }, { wasRecovering: true, recovered: true });
    assert.deepEqual(await s.values(10), missed);
    assert.deepEqual(await number(channel, 13, 14), await s.values(2));
    assert.equal(s.publications.unread, 0);
  });

  scenario('on another gateway after the one it was on shut down', async (t, sdk) => {
    const channel = unique('recover');
    const leaving = await gateway();
    const way = await Way.to(t, leaving.address);
    const alice = await connect(t, sdk, way.address);
    const s = await subscribe(alice, channel);
    assert.deepEqual(await number(channel, 1, 2), await s.values(2));
    const stopped = leaving.stop();
    assert.equal((await alice.connecting.next()).code, 3001);
    way.mend(gateways[1]);
    assert.equal((await s.subscribed.next()).recovered, true);
    await stopped;
    assert.deepEqual(await number(channel, 3, 4), await s.values(2));
  });

  scenario('is refused when more was missed than is kept, and the client goes on from there', async (t, sdk) => {
    const channel = unique('short');
    const way = await Way.to(t, gateways[0]);
    const alice = await connect(t, sdk, way.address);
    const s = await subscribe(alice, channel);
    assert.deepEqual(await number(channel, 1, 1), await s.values(1));
    way.break();
    await alice.connecting.next();
    await number(channel, 2, 6); // three are kept
    way.mend();
    const { wasRecovering, recovered, streamPosition } = await s.subscribed.next();
    assert.deepEqual({ wasRecovering, recovered, offset: streamPosition.offset }, { wasRecovering: true, recovered: false, offset: 6 });
    assert.deepEqual(await number(channel, 7, 7), await s.values(1));
    assert.equal(s.publications.unread, 0);
  });

  scenario('goes on when the history was removed', async (t, sdk) => {
    const channel = unique('recover');
    const s = await subscribe(await connect(t, sdk, gateways[0]), channel);
    assert.deepEqual(await number(channel, 1, 2), await s.values(2));
    await api(gateways[1], 'history_remove', { channel });
    assert.deepEqual(await number(channel, 3, 4), await s.values(2));
    assert.equal(s.subscribing.unread, 0);
  });

  scenario('is refused when the stream was lost, and a live client is told', async (t, sdk) => {
    const channel = unique('recover');
    const s = await subscribe(await connect(t, sdk, gateways[0]), channel);
    assert.deepEqual(await number(channel, 1, 2), await s.values(2));
    await loseStream(channel);
    await publish(gateways[1], channel, 'of the new stream');
    assert.equal((await s.subscribing.next()).code, 2500);
    const { recovered, streamPosition } = await s.subscribed.next();
    assert.equal(recovered, false);
    assert.notEqual(streamPosition.epoch, s.context.streamPosition.epoch);
    await publish(gateways[1], channel, 'and on');
    assert.deepEqual(await s.values(1), ['and on']);
  });

  scenario('of many channels at once', async (t, sdk) => {
    const channels = Array.from({ length: 8 }, () => unique('recover'));
    const way = await Way.to(t, gateways[0]);
    const alice = await connect(t, sdk, way.address);
    const subscriptions = await Promise.all(channels.map((c) => subscribe(alice, c)));
    way.break();
    await alice.connecting.next();
    await Promise.all(channels.map((c) => number(c, 1, 5)));
    way.mend(gateways[1]);
    for (const s of subscriptions) {
      assert.equal((await s.subscribed.next()).recovered, true);
      assert.deepEqual(await s.values(5), [1, 2, 3, 4, 5]);
    }
  });

  scenario('begins where the application says', async (t, sdk) => {
    const channel = unique('recover');
    await number(channel, 1, 5);
    const { epoch } = await api(gateways[0], 'history', { channel });
    const s = await subscribe(await connect(t, sdk, gateways[1]), channel, { since: { offset: 2, epoch } });
    assert.equal(s.context.recovered, true);
    assert.deepEqual(await s.values(3), [3, 4, 5]);
  });

  scenario('of the latest publication alone, and from the empty position', async (t, sdk) => {
    const channel = unique('cached');
    const since = { offset: 0, epoch: '' };
    const early = await subscribe(await connect(t, sdk, gateways[1]), channel, { since });
    assert.equal(early.context.recovered, false, 'there is none');
    await number(channel, 1, 5);
    const way = await Way.to(t, gateways[0]);
    const alice = await connect(t, sdk, way.address);
    const s = await subscribe(alice, channel, { since });
    assert.deepEqual({ wasRecovering: s.context.wasRecovering, recovered: s.context.recovered }, { wasRecovering: true, recovered: true });
    assert.deepEqual(await s.values(1), [5]);
    await number(channel, 6, 6);
    assert.deepEqual(await s.values(1), [6]);
    for (const missed of [[7, 7], [8, 20], []]) {
      way.break();
      await alice.connecting.next();
      if (missed.length) await number(channel, ...missed);
      way.mend();
      assert.equal((await s.subscribed.next()).recovered, true);
      if (missed.length) assert.deepEqual(await s.values(1), [missed[1]]);
    }
    await number(channel, 21, 21);
    assert.deepEqual(await s.values(1), [21]);
    assert.equal(s.publications.unread, 0);
    assert.deepEqual(await early.values(21), Array.from({ length: 21 }, (_, i) => i + 1));
  });

  scenario('with a list of endpoints the client finds the gateway that is there', async (t, sdk) => {
    const gone = await gateway();
    await gone.stop();
    const endpoints = [gone.address, gateways[1]].map((g) => ({ transport: 'websocket', endpoint: `ws://${g}/connection/websocket` }));
    const alice = make(t, sdk, endpoints);
    alice.client.connect();
    await alice.connected.next();
    const s = prepare(alice, unique('recover'));
    s.subscription.subscribe();
    await s.subscribed.next();
  });
});

scenarios('recovery of subscriptions that a token gives', (scenario) => {
  scenario('after the connection was cut, on another gateway', async (t, sdk) => {
    const channel = unique('recover');
    const way = await Way.to(t, gateways[0]);
    const ann = await connectAs(t, sdk, way.address, { channels: [channel] });
    const first = await ann.subscribed.next();
    assert.equal(first.channel, channel);
    assert.equal(first.recoverable, true);
    await number(channel, 1, 2);
    const values = async (count) => (await ann.publication.take(count)).map((p) => sdk.value(p.data));
    assert.deepEqual(await values(2), [1, 2]);
    way.break();
    await ann.connecting.next();
    const missed = await number(channel, 3, 20);
    way.mend(gateways[1]);
    const { wasRecovering, recovered } = await ann.subscribed.next();
    assert.deepEqual({ wasRecovering, recovered }, { wasRecovering: true, recovered: true });
    assert.deepEqual(await values(18), missed);
    assert.deepEqual(await number(channel, 21, 21), await values(1));
    assert.equal(ann.publication.unread, 0);
  });

  scenario('on another gateway after the one it was on was killed', async (t, sdk) => {
    const channel = unique('recover');
    const doomed = await gateway();
    const way = await Way.to(t, doomed.address);
    const ann = await connectAs(t, sdk, way.address, { channels: [channel] });
    await ann.subscribed.next();
    await doomed.kill();
    await ann.connecting.next();
    const missed = await number(channel, 1, 10);
    way.mend(gateways[1]);
    assert.equal((await ann.subscribed.next()).recovered, true);
    assert.deepEqual((await ann.publication.take(10)).map((p) => sdk.value(p.data)), missed);
    assert.equal(ann.publication.unread, 0);
  });

  scenario('is refused when the stream was lost: a live client is told with 3010, and is back', async (t, sdk) => {
    const channel = unique('recover');
    const ann = await connectAs(t, sdk, gateways[0], { channels: [channel] });
    const { streamPosition } = await ann.subscribed.next();
    await number(channel, 1, 2);
    await ann.publication.take(2);
    await loseStream(channel);
    await publish(gateways[1], channel, 'of the new stream');
    assert.equal((await ann.connecting.next()).code, 3010);
    const again = await ann.subscribed.next();
    assert.equal(again.recovered, false);
    assert.notEqual(again.streamPosition.epoch, streamPosition.epoch);
    await publish(gateways[1], channel, 'and on');
    assert.equal(sdk.value((await ann.publication.next()).data), 'and on');
  });

  scenario('is refused when more was missed than is kept', async (t, sdk) => {
    const channel = unique('short');
    const way = await Way.to(t, gateways[0]);
    const ann = await connectAs(t, sdk, way.address, { channels: [channel] });
    await ann.subscribed.next();
    way.break();
    await ann.connecting.next();
    await number(channel, 1, 5);
    way.mend();
    const { wasRecovering, recovered } = await ann.subscribed.next();
    assert.deepEqual({ wasRecovering, recovered }, { wasRecovering: true, recovered: false });
    assert.deepEqual(await number(channel, 6, 6), [sdk.value((await ann.publication.next()).data)]);
  });
});
