// npm ws on the plain protocol: what wscat, load tools and hand-written clients do.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import test from 'node:test';
import { gateways, plain, publish, refusal } from './clients.mjs';

const options = { timeout: 30_000 };

test('text stays text and binary stays binary, across gateways', options, async (t) => {
  const a = await plain(t, gateways[0], 'channel=types');
  const b = await plain(t, gateways[1], 'channel=types');
  a.socket.send('grüße 👋');
  assert.equal(await b.next(), 'grüße 👋');
  const bytes = Buffer.from([0, 1, 2, 254, 255]);
  a.socket.send(bytes);
  assert.deepEqual(await b.next(), bytes);
});

test('several channels in, one out', options, async (t) => {
  const reader = await plain(t, gateways[0], 'channel=red&channel=blue&publish=red');
  const red = await plain(t, gateways[1], 'channel=red');
  reader.socket.send('to red');
  assert.equal(await red.next(), 'to red');
  assert.equal(await reader.next(), 'to red');
  await publish(gateways[1], { channel: 'blue', data: 'from blue' });
  assert.equal(JSON.parse(await reader.next()), 'from blue');
});

test('a message over the limit closes with 1009', options, async (t) => {
  const { socket } = await plain(t, gateways[0], 'channel=big');
  socket.send('x'.repeat(70_000));
  const [code] = await once(socket, 'close');
  assert.equal(code, 1009);
});

test('a foreign Origin is refused with 403', options, async () => {
  const { status } = await refusal(gateways[0], '/ws?channel=lobby', { origin: 'https://evil.example' });
  assert.equal(status, 403);
});

test('no channel is refused with 400 and an explanation', options, async () => {
  const { status, text } = await refusal(gateways[0], '/ws');
  assert.equal(status, 400);
  assert.match(text, /channel/);
});
