// What runs inside a browser's page: the SDK's build for browsers, which is the global Centrifuge, and
// the browser's own WebSocket. What needs the test itself, it asks for: test.mend() and the like.
import { Inbox, until } from './inbox.mjs';

function same(got, want, what) {
  if (JSON.stringify(got) !== JSON.stringify(want)) throw new Error(`${what}: ${JSON.stringify(got)} instead of ${JSON.stringify(want)}`);
}

const fast = { minReconnectDelay: 50, maxReconnectDelay: 300 };

// A client with a token that is exchanged on the way goes through the core of the protocol.
export async function core(address, channel, isBinary) {
  const data = (value) => (isBinary ? new TextEncoder().encode(JSON.stringify(value)) : value);
  const value = (bytes) => (isBinary ? JSON.parse(new TextDecoder().decode(bytes)) : bytes);
  let asked = 0;
  const client = new Centrifuge(`ws://${address}/connection/websocket`, {
    ...fast,
    getToken: () => {
      asked++;
      return test.token();
    },
  });
  const [connected, connecting, disconnected] = ['connected', 'connecting', 'disconnected'].map((event) => new Inbox(client, event));
  client.connect();
  const { client: id } = await connected.next();
  await connecting.next();

  const subscription = client.newSubscription(channel);
  const [subscribed, publications] = ['subscribed', 'publication'].map((event) => new Inbox(subscription, event));
  const values = async (count) => (await publications.take(count)).map((p) => value(p.data));
  subscription.subscribe();
  await subscribed.next();
  for (const n of [1, 2]) await subscription.publish(data(n));
  await test.number(3, 4);
  same(await values(4), [1, 2, 3, 4], 'publications');

  const { clients } = await subscription.presence();
  same(Object.keys(clients), [id], 'presence');
  same(value(clients[id].connInfo), { name: 'Ann' }, 'what the token says of the client');
  const { publications: kept } = await subscription.history({ limit: 2, reverse: true });
  same(kept.map((p) => p.offset), [4, 3], 'history');

  const exchanged = asked + 1;
  await until('the token was exchanged', () => asked > exchanged);
  same([connecting.unread, disconnected.unread], [0, 0], 'connections that ended with their token');

  await test.cut();
  same((await connecting.next()).code, 1, 'why it connects again');
  await test.number(5, 30);
  await test.mend();
  const { wasRecovering, recovered } = await subscribed.next();
  same([wasRecovering, recovered], [true, true], 'recovery');
  await test.number(31, 31);
  same(await values(27), Array.from({ length: 27 }, (_, n) => n + 5), 'publications after the cut');
  same(publications.unread, 0, 'publications too many');
  client.disconnect();
}

// How a connection with a token that is no good ends.
export async function refused(address, token) {
  const client = new Centrifuge(`ws://${address}/connection/websocket`, { ...fast, token });
  const disconnected = new Inbox(client, 'disconnected');
  client.connect();
  return (await disconnected.next()).code;
}

// The browser's own WebSocket sends to itself, in text and in binary, or tells how it ended.
export function plain(url) {
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
