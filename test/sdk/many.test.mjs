// Clients with many channels: they are subscribed however slow the backend is, and come back to all of
// them when the server sends them away.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before } from 'node:test';
import { api, connect, connectAs, gateway, make, pause, prepare, scenarios, token, unique } from './clients.mjs';

// The backend answers each question after a time, and counts them by channel.
const delay = 300;
const asked = new Map();
const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const { channel, method } = JSON.parse(Buffer.concat(chunks));
  asked.set(channel, (asked.get(channel) ?? 0) + 1);
  await pause(method ? 3 * delay : delay);
  response.end('{"result":{}}');
});

let slow, usual;
before(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const backend = `http://127.0.0.1:${server.address().port}`;
  const flags = ['--max-channels-per-connection=128', '--hook-timeout=10s'];
  slow = await gateway(...flags, `--hook-subscribe-url=${backend}`, `--hook-rpc-url=${backend}`);
  usual = await gateway(...flags);
});
after(async () => {
  await Promise.all([slow.stop(), usual.stop()]);
  server.close();
});

// Subscriptions with a token of about 600 bytes each, which is there a moment after the SDK asks for it.
const withTokens = (made, prefix, count, moment) =>
  Array.from({ length: count }, (_, i) => {
    const channel = `${prefix}-${i}`;
    const claims = { sub: made.user, channel, info: { padding: 'x'.repeat(300) } };
    return prepare(made, channel, {
      getToken: async () => {
        await pause(moment(i));
        return token(claims);
      },
    });
  });

scenarios('many channels', (scenario, platform) => {
  for (const count of platform === 'node' ? [1, 20, 128] : [20]) {
    scenario(`${count} subscriptions that the backend decides on slowly`, async (t, sdk) => {
      const made = make(t, sdk, slow.address);
      const room = unique('room');
      const all = Array.from({ length: count }, (_, i) => prepare(made, `${room}-${i}`));
      for (const { subscription } of all) subscription.subscribe();
      made.client.connect();
      for (const { subscribed } of all) await subscribed.next();
      for (let i = 0; i < count; i++) assert.equal(asked.get(`${room}-${i}`), 1, 'asked once');
      assert.equal(all.reduce((sum, { error }) => sum + error.unread, 0), 0, 'no subscription failed meanwhile');
      await made.connecting.next();
      assert.equal(made.connecting.unread, 0, 'the client stayed connected');
    });
  }

  scenario('calls that take long end together', async (t, sdk) => {
    const { client } = await connect(t, sdk, slow.address);
    const ended = [];
    const calls = Array.from({ length: 8 }, async (_, i) => {
      await client.rpc('slow', sdk.data(i));
      ended.push('call');
    });
    await client.history(unique('history'), { limit: 0 }).catch(() => ended.push('history'));
    await Promise.all(calls);
    assert.deepEqual(ended, ['history', ...Array(8).fill('call')], 'nothing waits for a call');
  });

  for (const [count, what, moment] of [
    [100, 'that come one after the other', (i) => 20 * i],
    [128, 'that come within a moment', (i) => 50 + (i % 50)],
    [8, 'that come at once', () => 0],
  ]) {
    if (platform !== 'node' && count !== 100) continue;
    scenario(`${count} subscriptions with tokens ${what}, and back to all of them`, async (t, sdk) => {
      const made = await connectAs(t, sdk, usual.address);
      const room = unique('token:room');
      const all = withTokens(made, room, count, moment);
      for (const { subscription } of all) subscription.subscribe();
      for (const { subscribed } of all) await subscribed.next();
      await api(usual.address, 'disconnect', { user: made.user, disconnect: { code: 3001, reason: 'shutdown' } });
      assert.equal((await made.connecting.next()).code, 3001);
      for (const { subscribed } of all) await subscribed.next();
      assert.equal(made.disconnected.unread, 0);
      for (const n of [0, count - 1]) {
        await api(usual.address, 'publish', { channel: `${room}-${n}`, data: n });
        assert.deepEqual(await all[n].values(1), [n]);
      }
    });
  }
});
