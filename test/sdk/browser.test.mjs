// The WebSocket that browsers have, without an SDK, from pages that may connect and from pages that may
// not.
import assert from 'node:assert/strict';
import test, { before } from 'node:test';
import { endpoint, gateway, gateways, now, options, token, unique } from './clients.mjs';
import { visit } from './remote.mjs';

const [own, foreign] = [process.env.SITE, process.env.FOREIGN_SITE];

// Runs inside a page: a WebSocket sends to itself, in text and in binary, or tells how it ended.
function exchange(url) {
  return new Promise((resolve) => {
    const socket = new WebSocket(url);
    const frames = [];
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => {
      socket.send('grüße 👋');
      socket.send(Uint8Array.of(0, 1, 254, 255));
    };
    socket.onmessage = ({ data }) => {
      frames.push(typeof data === 'string' ? data : [...new Uint8Array(data)]);
      if (frames.length === 2) socket.close(1000);
    };
    socket.onclose = ({ code }) => resolve({ frames, code });
  });
}

// The same: a WebSocket sends these frames and waits for its end.
function ending(url, frames) {
  return new Promise((resolve) => {
    const socket = new WebSocket(url);
    socket.onopen = () => {
      for (const frame of frames) socket.send(frame);
    };
    socket.onclose = ({ code }) => resolve(code);
  });
}

async function evaluate(t, site, work, ...args) {
  const page = await visit(site);
  t.after(() => page.close());
  return page.evaluate(work, ...args);
}

const plain = (t, site, address, query) => evaluate(t, site, exchange, `ws://${address}/ws?${query}`);

const heard = { frames: ['grüße 👋', [0, 1, 254, 255]], code: 1000 };
const refused = { frames: [], code: 1006 };

let strict;
before(async () => {
  strict = (await gateway('--allowed-origins=')).address;
});

test('the browser\'s own WebSocket talks in text and in binary', options, async (t) => {
  assert.deepEqual(await plain(t, own, gateways[0], `channel=${unique('room')}`), heard);
});

test('what is no command of the Centrifuge protocol ends in 3501, and saying nothing in 3502', options, async (t) => {
  const { address } = await gateway('--connect-timeout=1s');
  const end = (...frames) => evaluate(t, own, ending, endpoint(address), frames);
  assert.equal(await end('hello'), 3501);
  assert.equal(await end(JSON.stringify({ id: 1, subscribe: { channel: 'room' } })), 3501);
  assert.equal(await end(), 3502);
});

test('a token in the URL opens what it allows, and without it that is closed', options, async (t) => {
  const channel = unique('token');
  const allowed = token({ sub: 'ann', caps: [{ channels: [channel], allow: ['sub', 'pub'] }], exp: now() + 60 });
  assert.deepEqual(await plain(t, own, gateways[0], `channel=${channel}&token=${allowed}`), heard);
  assert.deepEqual(await plain(t, own, gateways[0], `channel=${channel}`), refused);
});

test('pages of other origins cannot connect, but for those of the list', options, async (t) => {
  const channel = unique('room');
  assert.deepEqual(await plain(t, foreign, gateways[0], `channel=${channel}`), refused);
  // Without a list, only pages of the gateway's own host may.
  assert.deepEqual(await plain(t, own, strict, `channel=${channel}`), refused);
});
