// Presence: who is in a channel, and who is told of it, across gateways.
import assert from 'node:assert/strict';
import { connect, connectAs, gateway, gateways, prepare, scenarios, subscribe, token, unique, until, Way } from './clients.mjs';

// A subscriber who is told of the others, once it has heard of its own coming.
async function watch(client, channel) {
  const s = await subscribe(client, channel, { joinLeave: true });
  assert.equal((await s.join.next()).info.client, client.context.client);
  return { ...s, joined: async () => (await s.join.next()).info, left: async () => (await s.leave.next()).info };
}

scenarios('presence', (scenario) => {
  scenario('shows the members of both gateways, with what their tokens say of them', async (t, sdk) => {
    const channel = unique('present');
    const ann = await connectAs(t, sdk, gateways[0], { info: { name: 'Ann' } });
    const again = await connectAs(t, sdk, gateways[1], { sub: ann.user });
    const bob = await connectAs(t, sdk, gateways[1]);
    const nobody = await connect(t, sdk, gateways[0]);
    const { subscription } = await subscribe(ann, channel, { token: token({ sub: ann.user, channel, info: { role: 'host' } }) });
    for (const client of [again, bob, nobody]) await subscribe(client, channel);

    const { clients } = await subscription.presence();
    assert.deepEqual(Object.keys(clients).sort(), [ann, again, bob, nobody].map((c) => c.context.client).sort());
    const host = clients[ann.context.client];
    assert.equal(host.user, ann.user);
    assert.deepEqual(sdk.value(host.connInfo), { name: 'Ann' });
    assert.deepEqual(sdk.value(host.chanInfo), { role: 'host' });
    assert.equal(clients[nobody.context.client].user, '');
    const { numClients, numUsers } = await subscription.presenceStats();
    assert.deepEqual({ numClients, numUsers }, { numClients: 4, numUsers: 3 });
  });

  scenario('tells the other gateway who joins and who leaves', async (t, sdk) => {
    const channel = unique('present');
    const witness = await watch(await connectAs(t, sdk, gateways[1]), channel);
    const ann = await connectAs(t, sdk, gateways[0], { info: { name: 'Ann' } });
    const { subscription, join } = await subscribe(ann, channel);
    const joined = await witness.joined();
    assert.equal(joined.user, ann.user);
    assert.equal(joined.client, ann.context.client);
    assert.deepEqual(sdk.value(joined.connInfo), { name: 'Ann' });
    subscription.unsubscribe();
    assert.equal((await witness.left()).client, ann.context.client);
    // Who did not ask for it is told nothing.
    assert.equal(join.unread, 0);
    assert.deepEqual(Object.keys((await witness.subscription.presence()).clients).length, 1);
  });

  scenario('a user who comes back within the grace is told as another client, on whatever gateway', async (t, sdk) => {
    const channel = unique('present');
    const witness = await watch(await connectAs(t, sdk, gateways[1]), channel);
    const way = await Way.to(t, gateways[0]);
    const ann = await connectAs(t, sdk, way.address);
    const { subscribed } = await subscribe(ann, channel);
    let { client } = await witness.joined();
    assert.equal(client, ann.context.client);
    for (const to of [gateways[0], gateways[1]]) {
      way.break();
      way.mend(to);
      const back = await ann.connected.next();
      await subscribed.next();
      assert.equal((await witness.left()).client, client);
      ({ client } = await witness.joined());
      assert.equal(client, back.client);
      assert.equal((await witness.subscription.presenceStats()).numUsers, 2);
    }
    assert.equal(witness.leave.unread + witness.join.unread, 0);
    // Who does not come back is gone when the grace is over.
    way.break();
    assert.equal((await witness.left()).client, client);
  });

  scenario('lists of members by client have no ghosts', async (t, sdk) => {
    const doomed = await gateway();
    const channel = unique('present');
    const witness = await connectAs(t, sdk, gateways[1]);
    const list = new Map();
    const { subscription } = prepare(witness, channel, { joinLeave: true });
    subscription.on('join', ({ info }) => list.set(info.client, info.user));
    subscription.on('leave', ({ info }) => list.delete(info.client));
    subscription.subscribe();
    const has = async (...clients) => {
      const all = [witness.context.client, ...clients].sort();
      await until(`the list has ${all}`, () => JSON.stringify([...list.keys()].sort()) === JSON.stringify(all));
    };
    await has();

    // A page that is loaded four times.
    const { user } = witness;
    let page;
    for (let n = 0; n < 4; n++) {
      page?.way.break();
      const way = await Way.to(t, gateways[n % 2]);
      page = { way, ...(await connectAs(t, sdk, way.address, { sub: `${user}-page` })) };
      await subscribe(page, channel);
    }
    await has(page.context.client);

    // Two tabs: one is closed, and a third opened, on a gateway that is killed.
    const way = await Way.to(t, doomed.address);
    const tab = await connectAs(t, sdk, way.address, { sub: `${user}-page` });
    const { subscribed } = await subscribe(tab, channel);
    page.way.break();
    way.break();
    await doomed.kill();
    way.mend(gateways[0]);
    const back = await tab.connected.next();
    await subscribed.next();
    await has(back.client);
  });

  scenario('the members of a gateway that was killed are gone after a time', async (t, sdk) => {
    const doomed = await gateway();
    const channel = unique('present');
    const witness = await watch(await connectAs(t, sdk, gateways[1]), channel);
    const way = await Way.to(t, doomed.address);
    const ann = await connectAs(t, sdk, way.address);
    await subscribe(ann, channel);
    await witness.joined();
    way.break();
    await doomed.kill();
    assert.equal((await witness.left()).user, ann.user);
    assert.equal((await witness.subscription.presenceStats()).numClients, 1);
  });
});
