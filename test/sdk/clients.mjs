// What the tests share: the SDK in Node and in Chromium, in both encodings, ways to the gateways, and ways
// to wait for what a client reports.
import assert from 'node:assert/strict';
import { createHmac, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, connect as dial } from 'node:net';
import { describe, it } from 'node:test';
import { Centrifuge } from 'centrifuge';
import { Centrifuge as CentrifugeProtobuf } from 'centrifuge/build/protobuf';
import WebSocket from 'ws';
import { Inbox, pause, until } from './inbox.mjs';
import { page } from './remote.mjs';

export { Inbox, pause, until };

const variable = (name) => {
  const value = process.env[name];
  assert.ok(value, `${name} is not set: run the tests with "go test ./test/sdk"`);
  return value;
};

export const gateways = [variable('GATEWAY_A'), variable('GATEWAY_B')];
export const apiKey = variable('API_KEY');
const jwtKey = variable('JWT_KEY');
const control = variable('CONTROL');

// What has a bound in this file: it passes long before, unless something is broken.
export const options = { timeout: 40_000 };

// Protobuf carries bytes: these hold the JSON that the tests compare.
const encodings = [
  { name: 'json', data: (value) => value, value: (data) => data },
  {
    name: 'protobuf',
    data: (value) => new TextEncoder().encode(JSON.stringify(value)),
    value: (bytes) => (bytes === undefined ? undefined : JSON.parse(new TextDecoder().decode(bytes))),
  },
];

// Where the SDK runs. Each gives, for an encoding, a function that makes clients; headers are those of
// their handshakes.
const platforms = {
  node: (encoding) => (endpoint, { headers, ...settings }) => {
    class Socket extends WebSocket {
      constructor(url, protocols) {
        super(url, protocols, { headers });
      }
    }
    return new { json: Centrifuge, protobuf: CentrifugeProtobuf }[encoding](endpoint, { websocket: Socket, ...settings });
  },
  // A browser sets its headers itself, of which the cookies are the page's.
  chromium: async (encoding) => {
    const made = await page(encoding);
    return (endpoint, { headers: { Cookie, ...others } = {}, ...settings }) => {
      assert.deepEqual(others, {}, 'headers that no page can set');
      return made.client(endpoint, settings, Cookie);
    };
  },
};

// Scenarios are gone through on each platform in both encodings, and some at the same time: most of each
// is waiting.
export function scenarios(title, register) {
  describe(title, { concurrency: 10 }, () => {
    for (const encoding of encodings) {
      for (const [platform, clients] of Object.entries(platforms)) {
        const scenario = (name, steps) =>
          it(`${platform}, ${encoding.name}: ${name}`, options, async (t) => steps(t, { ...encoding, client: await clients(encoding.name) }));
        register(scenario, platform);
      }
    }
  });
}

// A name that nobody else uses, of a channel or of a user.
export const unique = (prefix) => `${prefix}:${randomUUID()}`;

// A way to a gateway, like a proxy on the path: it can break, stay broken, and lead elsewhere.
export class Way {
  #pairs = new Set();
  dials = 0;
  up = true;
  static async to(t, gateway) {
    const way = new Way();
    way.gateway = gateway;
    way.server = createServer((near) => way.#join(near));
    way.server.listen(0, '127.0.0.1');
    await once(way.server, 'listening');
    way.address = `127.0.0.1:${way.server.address().port}`;
    t.after(() => {
      way.server.close();
      way.cut();
    });
    return way;
  }
  #join(near) {
    near.on('error', () => {});
    if (!this.up) {
      near.destroy();
      return;
    }
    this.dials++;
    const [host, port] = this.gateway.split(':');
    const far = dial(Number(port), host);
    far.on('error', () => near.destroy());
    const pair = { near, far };
    this.#pairs.add(pair);
    near.on('close', () => {
      this.#pairs.delete(pair);
      far.destroy();
    });
    far.on('close', () => near.destroy());
    near.pipe(far);
    far.pipe(near);
  }
  // Breaks what is open. What was on its way is lost.
  cut() {
    for (const { near, far } of this.#pairs) {
      near.destroy();
      far.destroy();
    }
  }
  // Withholds from the gateway what the clients of now say. They still hear it.
  mute() {
    for (const { near, far } of this.#pairs) {
      near.unpipe(far);
      near.resume();
    }
  }
  // Breaks it until the gateway has been exchanged for another, or until it is mended.
  break() {
    this.up = false;
    this.cut();
  }
  mend(gateway = this.gateway) {
    this.gateway = gateway;
    this.up = true;
  }
}

// A token as a backend signs it.
export function token(claims, { key = jwtKey, alg = 'HS256' } = {}) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg, typ: 'JWT' })}.${part(claims)}`;
  return `${signed}.${alg === 'none' ? '' : createHmac('sha256', key).update(signed).digest('base64url')}`;
}

// The time as tokens have it, in whole seconds.
export const now = () => Math.floor(Date.now() / 1000);

export const endpoint = (address) => `ws://${address}/connection/websocket`;

const fast = { minReconnectDelay: 50, maxReconnectDelay: 300 };

// A client that has not connected yet, with inboxes of what it will say.
export function make(t, sdk, address, settings) {
  const client = sdk.client(typeof address === 'string' ? endpoint(address) : address, { ...fast, ...settings });
  t.after(() => client.disconnect());
  const made = { sdk, client };
  for (const event of ['connected', 'connecting', 'disconnected', 'error', 'message', 'subscribed', 'subscribing', 'unsubscribed', 'publication', 'join', 'leave']) {
    made[event] = new Inbox(client, event);
  }
  return made;
}

export async function connect(t, sdk, address, settings) {
  const made = make(t, sdk, address, settings);
  made.client.connect();
  made.context = await made.connected.next();
  await made.connecting.next();
  return made;
}

// Connects as a user, whose name is made up.
export async function connectAs(t, sdk, address, claims = {}, settings = {}) {
  const user = claims.sub ?? unique('user');
  return { user, ...(await connect(t, sdk, address, { token: token({ ...claims, sub: user }), ...settings })) };
}

const minimal = { minResubscribeDelay: 50, maxResubscribeDelay: 300 };

// A subscription that has not been made yet, with inboxes of what it will say.
export function prepare({ sdk, client }, channel, settings) {
  const subscription = client.newSubscription(channel, { ...minimal, ...settings });
  const prepared = { subscription, values: async (count) => (await prepared.publications.take(count)).map((p) => sdk.value(p.data)) };
  prepared.publications = new Inbox(subscription, 'publication');
  for (const event of ['subscribed', 'subscribing', 'unsubscribed', 'error', 'join', 'leave']) prepared[event] = new Inbox(subscription, event);
  return prepared;
}

export async function subscribe(made, channel, settings) {
  const prepared = prepare(made, channel, settings);
  prepared.subscription.subscribe();
  prepared.context = await prepared.subscribed.next();
  await prepared.subscribing.next();
  return prepared;
}

// A plain WebSocket, subscribed when it is open.
export async function plain(t, gateway, query, settings) {
  const socket = new WebSocket(`ws://${gateway}/ws?${query}`, settings);
  t.after(() => socket.terminate());
  const frames = [];
  const waiting = [];
  socket.on('message', (data, binary) => {
    const frame = binary ? data : data.toString();
    const next = waiting.shift();
    if (next) next(frame);
    else frames.push(frame);
  });
  await once(socket, 'open');
  const next = () => (frames.length ? Promise.resolve(frames.shift()) : new Promise((resolve) => waiting.push(resolve)));
  return { socket, next };
}

// What the gateway answers to a handshake that it refuses: status and text.
export async function refusal(gateway, path, settings) {
  const socket = new WebSocket(`ws://${gateway}${path}`, settings);
  // Ending an unfinished handshake is reported as an error; it is what this function is for.
  socket.on('error', () => {});
  const [, response] = await once(socket, 'unexpected-response');
  let text = '';
  for await (const chunk of response) text += chunk;
  socket.terminate();
  return { status: response.statusCode, text };
}

// Calls the server API as it is.
export async function call(gateway, method, body = {}, key = apiKey) {
  const response = await fetch(`http://${gateway}/api/${method}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-API-Key': key },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() };
}

// Calls a method that must succeed, and returns its result.
export async function api(gateway, method, body) {
  const answer = await call(gateway, method, body);
  assert.ok(answer.body.result, `${method}: ${JSON.stringify(answer)}`);
  return answer.body.result;
}

export const publish = (gateway, channel, data, more = {}) => api(gateway, 'publish', { channel, data, ...more });

// A gateway of a test's own. Its flags win over those that all have.
export async function gateway(...flags) {
  const name = unique('gateway').replace(':', '-');
  const { addr } = await order('start', { name, flags });
  const to = (method) => () => order(method, { name });
  return { name, address: addr, kill: to('kill'), stop: to('stop'), restart: to('restart') };
}

// Lets Redis lose the stream of a channel.
export const loseStream = (channel) => order('lose', { name: channel });

async function order(method, body) {
  const response = await fetch(`${control}/${method}`, { method: 'POST', body: JSON.stringify(body) });
  const answer = await response.json();
  assert.equal(answer.error, undefined);
  return answer;
}

// An error of the protocol with this code.
export const code = (expected) => (error) => {
  assert.equal(error.code, expected, `${error.code}: ${error.message}`);
  return true;
};
