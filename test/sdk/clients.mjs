// What the tests share: where the gateways are, and ways to wait for what a client reports.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Centrifuge } from 'centrifuge';
import WebSocket from 'ws';

const variable = (name) => {
  const value = process.env[name];
  assert.ok(value, `${name} is not set: run the tests with "go test ./test/sdk"`);
  return value;
};

export const gateways = [variable('GATEWAY_A'), variable('GATEWAY_B')];
export const apiKey = variable('API_KEY');

// The events of an emitter, in order, for tests that await the next one.
export class Inbox {
  #waiting = [];
  #received = [];
  constructor(emitter, event) {
    emitter.on(event, (...args) => {
      const next = this.#waiting.shift();
      if (next) next(args);
      else this.#received.push(args);
    });
  }
  async next() {
    const args = this.#received.length ? this.#received.shift() : await new Promise((resolve) => this.#waiting.push(resolve));
    return args[0];
  }
  get unread() {
    return this.#received.length;
  }
}

export async function connect(t, gateway) {
  const client = new Centrifuge(`ws://${gateway}/connection/websocket`, { websocket: WebSocket });
  t.after(() => client.disconnect());
  const connected = new Inbox(client, 'connected');
  client.connect();
  const context = await connected.next();
  return { client, connected, context };
}

export async function subscribe(client, channel) {
  const subscription = client.newSubscription(channel);
  const inbox = new Inbox(subscription, 'publication');
  subscription.subscribe();
  await subscription.ready(10_000);
  return { subscription, inbox };
}

// A plain WebSocket, subscribed when it is open.
export async function plain(t, gateway, query, options) {
  const socket = new WebSocket(`ws://${gateway}/ws?${query}`, options);
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
export async function refusal(gateway, path, options) {
  const socket = new WebSocket(`ws://${gateway}${path}`, options);
  // Ending an unfinished handshake is reported as an error; it is what this function is for.
  socket.on('error', () => {});
  const [, response] = await once(socket, 'unexpected-response');
  let text = '';
  for await (const chunk of response) text += chunk;
  socket.terminate();
  return { status: response.statusCode, text };
}

export async function publish(gateway, body, key = apiKey) {
  const response = await fetch(`http://${gateway}/api/publish`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-API-Key': key },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() };
}
