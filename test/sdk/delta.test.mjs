// Deltas: a client that asks for them gets what has changed since the publication before.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { connect, gateway, publish, scenarios, subscribe, unique, Way } from './clients.mjs';

let kept;
before(async () => {
  const rules = [
    { pattern: 'scores*', history: { size: 100, ttl: '1m' }, recovery: true },
    { pattern: 'latest*', slowConsumer: 'LatestOnly' },
  ];
  kept = await gateway(`--channels=${JSON.stringify(rules)}`);
});
after(() => kept.stop());

// A table of which little changes from one publication to the next, in two alphabets.
const table = (goals) => ({
  goals, teams: ['Zürich', 'Genève', 'Łódź', 'Αθήνα', 'Київ', '東京'].map((city, place) => ({ city, place, note: 'as before, and before that' })),
});

scenarios('deltas', (scenario) => {
  scenario('make publications of what has changed, also after a cut', async (t, sdk) => {
    const channel = unique('scores');
    const way = await Way.to(t, kept.address);
    const client = await connect(t, sdk, way.address);
    const asking = await subscribe(client, channel, { delta: 'fossil' });
    const other = await subscribe(await connect(t, sdk, kept.address), channel);
    const sent = [];
    const send = async (n) => {
      for (let i = 0; i < n; i++) {
        sent.push(table(sent.length));
        await publish(kept.address, channel, sent.at(-1));
      }
    };
    await send(5);
    assert.deepEqual(await asking.values(5), sent);
    assert.deepEqual(await other.values(5), sent);
    const stats = await asking.subscription.deltaStats();
    assert.equal(stats.numDeltaPayloads, 4);
    assert.equal(stats.numFullPayloads, 1);
    assert.ok(stats.compressionRatio > 0.5, `${stats.bytesReceived} of ${stats.bytesDecoded} bytes`);

    way.break();
    await client.connecting.next();
    await send(3);
    way.mend();
    assert.equal((await asking.subscribed.next()).recovered, true);
    await send(2);
    assert.deepEqual(await asking.values(5), sent.slice(5));
    assert.ok((await asking.subscription.deltaStats()).numDeltaPayloads > 4);

    await asking.subscription.publish(sdk.data('of a client'));
    await send(1);
    assert.deepEqual(await asking.values(2), ['of a client', sent.at(-1)]);
  });

  scenario('are not agreed on where clients may miss publications', async (t, sdk) => {
    const channel = unique('latest');
    const asking = await subscribe(await connect(t, sdk, kept.address), channel, { delta: 'fossil' });
    for (const goals of [1, 2]) await publish(kept.address, channel, table(goals));
    assert.deepEqual(await asking.values(2), [table(1), table(2)]);
    assert.equal((await asking.subscription.deltaStats()).numPublications, 0);
  });
});
