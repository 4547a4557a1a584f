// What the scenarios share: settings from the environment, metrics, and a client of either protocol.
import { WebSocket } from 'k6/websockets';
import { Counter, Trend } from 'k6/metrics';
import exec from 'k6/execution';

const number = (name, otherwise) => Number(__ENV[name] || otherwise);

export const settings = {
  url: __ENV.URL || 'ws://127.0.0.1:8080',
  protocol: __ENV.PROTOCOL || 'plain',
  clients: number('CLIENTS', 1000),
  channels: number('CHANNELS', 10),
  seconds: number('SECONDS', 20),
  // A virtual user takes megabytes, a socket little: several sockets share one.
  perUser: number('PER_USER', 50),
};

const users = Math.ceil(settings.clients / settings.perUser);

// options run every virtual user once, all at the same time.
export const options = {
  scenarios: { all: { executor: 'per-vu-iterations', vus: users, iterations: 1, maxDuration: `${settings.seconds + 60}s` } },
  thresholds: { wsfleet_errors: ['count==0'] },
};

const connecting = new Trend('wsfleet_connect', true);
const latency = new Trend('wsfleet_latency', true);
const connected = new Counter('wsfleet_connected');
const received = new Counter('wsfleet_received');
const published = new Counter('wsfleet_published');
const errors = new Counter('wsfleet_errors');

// numbers are those of the clients that this virtual user opens.
export function numbers() {
  const first = (exec.vu.idInTest - 1) * settings.perUser;
  const count = Math.max(0, Math.min(settings.perUser, settings.clients - first));
  return Array.from({ length: count }, (_, i) => first + i);
}

export const channelOf = (client) => `k6-${client % settings.channels}`;

// connect opens a client, subscribed to one channel when ready is called, and closes it after a time.
export function connect(channel, milliseconds, ready, closed) {
  const centrifuge = settings.protocol === 'centrifuge';
  const path = centrifuge ? '/connection/websocket' : `/ws?channel=${channel}`;
  const started = Date.now();
  const socket = new WebSocket(settings.url + path);
  let commands = 0;
  let leaving = false;
  const command = (request) => socket.send(JSON.stringify({ id: ++commands, ...request }));
  const client = {
    publish() {
      const message = { sent: Date.now(), pad: 'x'.repeat(60) };
      published.add(1);
      if (centrifuge) command({ publish: { channel, data: message } });
      else socket.send(JSON.stringify(message));
    },
    close() {
      leaving = true;
      socket.close();
    },
  };
  const open = () => {
    connecting.add(Date.now() - started);
    connected.add(1);
    setTimeout(client.close, milliseconds);
    ready(client);
  };
  const message = (m) => {
    received.add(1);
    latency.add(Date.now() - m.sent);
  };
  // Centrifuge: several replies may share a frame, a line each, and an empty one is a ping.
  const reply = (line) => {
    const r = JSON.parse(line);
    if (line === '{}') socket.send('{}');
    else if (r.error) errors.add(1, { error: r.error.message });
    else if (r.push && r.push.pub) message(r.push.pub.data);
    else if (r.subscribe) open();
  };
  socket.onopen = () => {
    if (!centrifuge) open();
    else {
      command({ connect: {} });
      command({ subscribe: { channel } });
    }
  };
  socket.onmessage = (event) => {
    if (centrifuge) event.data.split('\n').filter(Boolean).forEach(reply);
    else message(JSON.parse(event.data));
  };
  socket.onerror = (event) => errors.add(1, { error: event.error });
  socket.onclose = (event) => {
    if (!leaving) errors.add(1, { error: `closed by the gateway: ${event.code}` });
    if (closed) closed();
  };
}
