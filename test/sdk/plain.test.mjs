// npm ws on the plain protocol: what wscat, load tools and hand-written clients do.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import test from 'node:test';
import { gateways, now, options, plain, publish, refusal, token, unique } from './clients.mjs';

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
  await publish(gateways[1], 'blue', 'from blue');
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

const bearer = (t) => ({ headers: { Authorization: `Bearer ${t}` } });

test('a token in the header or in the URL opens what it allows', options, async (t) => {
  const channel = unique('token');
  const allowed = token({ sub: 'ann', caps: [{ channels: ['token:*'], allow: ['sub'] }] });
  const a = await plain(t, gateways[0], `channel=${channel}`, bearer(allowed));
  const b = await plain(t, gateways[1], `channel=${channel}&token=${allowed}`);
  const both = await plain(t, gateways[1], `channel=${channel}&token=${allowed}`, bearer(allowed));
  a.socket.send('to all');
  for (const { next } of [a, b, both]) assert.equal(await next(), 'to all');
});

test('the channels of a token are subscribed to as well', options, async (t) => {
  const [asked, given] = [unique('room'), unique('token')];
  const a = await plain(t, gateways[0], `channel=${asked}&publish=${asked}`, bearer(token({ sub: 'ann', channels: [given] })));
  await publish(gateways[1], given, 'from the token');
  assert.equal(JSON.parse(await a.next()), 'from the token');
  await publish(gateways[1], asked, 'from the URL');
  assert.equal(JSON.parse(await a.next()), 'from the URL');
});

for (const [what, status, path, settings] of [
  ['two tokens that differ', 400, `&token=${token({ sub: 'ann' })}`, bearer(token({ sub: 'bob' }))],
  ['an empty token', 400, '&token=', {}],
  ['an expired token', 401, `&token=${token({ sub: 'ann', exp: now() - 1 })}`, {}],
  ['a token of another key', 401, '', bearer(token({ sub: 'ann' }, { key: 'another key of thirty-two bytes!' }))],
]) {
  test(`${what} is refused with ${status}`, options, async () => {
    const refused = await refusal(gateways[0], `/ws?channel=lobby${path}`, settings);
    assert.equal(refused.status, status);
    assert.match(refused.text, /token/i);
  });
}

test('a channel that needs a token is refused with 403 without one that is good for it', options, async () => {
  for (const settings of [{}, bearer(token({ sub: 'ann' }))]) {
    assert.equal((await refusal(gateways[0], `/ws?channel=${unique('token')}`, settings)).status, 403);
  }
  assert.equal((await refusal(gateways[0], `/ws?channel=${unique('authenticated')}`, {})).status, 403);
});

test('the connection ends with its token, with 1008', options, async (t) => {
  const exp = now() + 2;
  const { socket } = await plain(t, gateways[0], 'channel=lobby', bearer(token({ sub: unique('user'), exp })));
  const [code, reason] = await once(socket, 'close');
  assert.equal(code, 1008);
  assert.match(reason.toString(), /expired/);
  assert.ok(Date.now() >= exp * 1000 - 100, 'it was not cut before its time');
});
