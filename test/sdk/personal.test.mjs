// Personal channels, and channels whose names say which users may subscribe.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { connect, connectAs, gateway, prepare, publish, scenarios, subscribe, Way } from './clients.mjs';

let personal;
before(async () => {
  const rules = [{ pattern: '#*', history: { size: 100, ttl: '1m' }, recovery: true }];
  personal = await gateway('--personal-channels', `--channels=${JSON.stringify(rules)}`);
});
after(() => personal.stop());

scenarios('personal channels', (scenario) => {
  scenario('bring publications, also those that were missed', async (t, sdk) => {
    const way = await Way.to(t, personal.address);
    const ann = await connectAs(t, sdk, way.address);
    const channel = `#${ann.user}`;
    assert.equal((await ann.subscribed.next()).channel, channel);
    await publish(personal.address, channel, 'now');
    const publication = await ann.publication.next();
    assert.equal(publication.channel, channel);
    assert.equal(sdk.value(publication.data), 'now');

    way.break();
    await ann.connecting.next();
    await publish(personal.address, channel, 'meanwhile');
    way.mend();
    const again = await ann.subscribed.next();
    assert.equal(again.recovered, true);
    assert.equal(sdk.value((await ann.publication.next()).data), 'meanwhile');
  });

  scenario('are of their users', async (t, sdk) => {
    const ann = await connectAs(t, sdk, personal.address);
    const bob = await connectAs(t, sdk, personal.address);
    const eve = await connect(t, sdk, personal.address);
    assert.equal(eve.subscribed.unread, 0, 'a client without a user has none');
    const dialog = `dialog#${ann.user},${bob.user}`;
    const { subscription } = await subscribe(ann, dialog);
    const theirs = await subscribe(bob, dialog);
    await subscription.publish(sdk.data('hello'));
    assert.deepEqual(await theirs.values(1), ['hello']);
    for (const [client, channel] of [[eve, dialog], [eve, `#${ann.user}`], [bob, `#${ann.user}`], [bob, `inbox#${ann.user}`]]) {
      const refused = prepare(client, channel);
      refused.subscription.subscribe();
      assert.equal((await refused.unsubscribed.next()).code, 103);
    }
  });
});
