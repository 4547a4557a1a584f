// Chromium: the SDK's build for browsers, and the WebSocket that browsers have, from pages that may
// connect and from pages that may not.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import test, { after, before } from 'node:test';
import puppeteer from 'puppeteer-core';
import { api, gateway, gateways, now, options, publish, token, unique, Way } from './clients.mjs';

const files = {
  '/json.js': 'node_modules/centrifuge/dist/centrifuge.js',
  '/protobuf.js': 'node_modules/centrifuge/dist/centrifuge.protobuf.js',
  '/page.mjs': 'page.mjs',
  '/inbox.mjs': 'inbox.mjs',
};

// A site serves pages with the SDK in one of its encodings.
async function site() {
  const server = createServer(async (request, response) => {
    const file = files[request.url];
    response.setHeader('Content-Type', file ? 'text/javascript' : 'text/html');
    response.end(file ? await readFile(file) : `<!doctype html><link rel="icon" href="data:,"><script src="${request.url}.js"></script>`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, origin: `http://127.0.0.1:${server.address().port}` };
}

let browser, own, foreign, allowing;
before(async () => {
  [own, foreign] = [await site(), await site()];
  allowing = (await gateway(`--allowed-origins=${own.origin}`)).address;
  browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM,
    headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'],
  });
});
after(async () => {
  await browser?.close();
  for (const { server } of [own, foreign]) server.close();
});

// Calls a function of page.mjs in a page of a site; what it asks the test for is in asks.
async function run(t, { origin }, encoding, asks, name, ...args) {
  const page = await browser.newPage();
  t.after(() => page.close());
  await page.goto(`${origin}/${encoding}`);
  for (const [asked, answer] of Object.entries(asks)) await page.exposeFunction(`test_${asked}`, answer);
  return page.evaluate(
    async (asked, name, args) => {
      globalThis.test = Object.fromEntries(asked.map((a) => [a, globalThis[`test_${a}`]]));
      return (await import('/page.mjs'))[name](...args);
    },
    Object.keys(asks),
    name,
    args,
  );
}

for (const encoding of ['json', 'protobuf']) {
  test(`${encoding}: the SDK connects, subscribes, publishes, recovers and exchanges its token`, options, async (t) => {
    const [user, channel] = [unique('user'), unique('present')];
    const way = await Way.to(t, allowing);
    const asks = {
      token: () => token({ sub: user, exp: now() + 2, info: { name: 'Ann' } }),
      number: async (from, to) => {
        const { connections } = await api(gateways[0], 'connections', { user });
        for (const c of connections) assert.equal(c.protocol, encoding);
        for (let n = from; n <= to; n++) await publish(gateways[n % 2], channel, n);
      },
      cut: () => way.break(),
      mend: () => way.mend(),
    };
    await run(t, own, encoding, asks, 'core', way.address, channel, encoding === 'protobuf');
  });

  test(`${encoding}: a token of another key ends in 3500`, options, async (t) => {
    assert.equal(await run(t, own, encoding, {}, 'refused', allowing, token({ sub: 'ann' }, { key: 'another key of thirty-two bytes!' })), 3500);
  });
}

const plain = (t, from, address, query) => run(t, from, 'json', {}, 'plain', `ws://${address}/ws?${query}`);
const heard = { frames: ['grüße 👋', [0, 1, 254, 255]], code: 1000 };
const refused = { frames: [], code: 1006 };

test('the browser\'s own WebSocket talks in text and in binary', options, async (t) => {
  assert.deepEqual(await plain(t, own, allowing, `channel=${unique('room')}`), heard);
});

test('a token in the URL opens what it allows, and without it that is closed', options, async (t) => {
  const channel = unique('token');
  const allowed = token({ sub: 'ann', caps: [{ channels: [channel], allow: ['sub', 'pub'] }], exp: now() + 60 });
  assert.deepEqual(await plain(t, own, allowing, `channel=${channel}&token=${allowed}`), heard);
  assert.deepEqual(await plain(t, own, allowing, `channel=${channel}`), refused);
});

test('pages of other origins cannot connect, but for those of the list', options, async (t) => {
  const channel = unique('room');
  assert.deepEqual(await plain(t, foreign, allowing, `channel=${channel}`), refused);
  // Without a list, only pages of the gateway's own host may.
  assert.deepEqual(await plain(t, own, gateways[0], `channel=${channel}`), refused);
});
