// Filters by tags: a subscriber gets the publications whose tags it asks for, also of those that it missed.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { connect, gateway, prepare, publish, scenarios, subscribe, unique, Way } from './clients.mjs';

let filtering;
before(async () => {
  const rules = [{ pattern: 'prices*', tagsFilter: true, history: { size: 100, ttl: '1m' }, recovery: true }];
  filtering = await gateway(`--channels=${JSON.stringify(rules)}`);
});
after(() => filtering.stop());

const price = (channel, ticker, value) =>
  publish(filtering.address, channel, { ticker, value }, { tags: { ticker, value: String(value) } });

scenarios('a filter by tags', (scenario) => {
  scenario('lets through what it matches, live and missed', async (t, sdk) => {
    const channel = unique('prices');
    const way = await Way.to(t, filtering.address);
    const tagsFilter = { op: 'and', nodes: [{ key: 'ticker', cmp: 'in', vals: ['A', 'B'] }, { key: 'value', cmp: 'gt', val: '9.5' }] };
    const some = await connect(t, sdk, way.address);
    const filtered = await subscribe(some, channel, { tagsFilter });
    const all = await subscribe(await connect(t, sdk, filtering.address), channel);
    await price(channel, 'A', 10);
    await price(channel, 'A', 9);
    await price(channel, 'C', 11);
    await price(channel, 'B', 12);
    assert.deepEqual(await filtered.values(2), [{ ticker: 'A', value: 10 }, { ticker: 'B', value: 12 }]);
    assert.equal((await all.values(4)).length, 4);

    way.break();
    await some.connecting.next();
    await price(channel, 'C', 13);
    await price(channel, 'B', 14);
    way.mend();
    const again = await filtered.subscribed.next();
    assert.equal(again.recovered, true);
    assert.deepEqual(await filtered.values(1), [{ ticker: 'B', value: 14 }]);
    assert.equal(filtered.publications.unread, 0);
  });

  scenario('is refused where the rule does not allow it, or when it makes no sense', async (t, sdk) => {
    const client = await connect(t, sdk, filtering.address);
    for (const [channel, tagsFilter, expected] of [
      [unique('elsewhere'), { key: 'a', cmp: 'ex' }, 108],
      [unique('prices'), { key: 'a', cmp: 'like', val: 'b' }, 107],
    ]) {
      const refused = prepare(client, channel, { tagsFilter });
      refused.subscription.subscribe();
      assert.equal((await refused.unsubscribed.next()).code, expected);
    }
  });
});
