// What runs inside a browser's page, beside the SDK's build for browsers, which is the global Centrifuge:
// it makes clients, does with them what the tests ask for (remote.mjs), and tells what they say.
import { decode, encode } from './wire.mjs';

const events = [
  'state', 'connected', 'connecting', 'disconnected', 'message', 'error',
  'subscribed', 'subscribing', 'unsubscribed', 'publication', 'join', 'leave',
];

// Clients and subscriptions by the numbers that the tests gave them.
const things = new Map();
// Questions to the tests that have no answer yet.
const questions = new Map();
let asked = 0;

// All goes through one binding: what happens first is told first.
const say = (message) => tell(encode(message));

const ask = (callback, args) =>
  new Promise((resolve, reject) => {
    questions.set(++asked, { resolve, reject });
    say({ kind: 'question', question: asked, callback, args });
  });

function follow(number, emitter) {
  things.set(number, emitter);
  for (const event of events) emitter.on(event, (context) => say({ kind: 'event', thing: number, event, context }));
}

const actions = {
  client: ({ as, args }) => follow(as, new Centrifuge(...args)),
  subscription: ({ as, on, args }) => follow(as, on.newSubscription(...args)),
  cookie: ({ cookie }) => {
    document.cookie = cookie;
    // Chromium writes it in the background; a WebSocket that is made before that goes without it. Reading waits for the write.
    if (!document.cookie.includes(cookie)) throw new Error(`the page did not keep the cookie ${cookie}`);
  },
  call: ({ call, on, method, args }) => {
    // What the method does at once is done before the next message is heard.
    const result = (async () => on[method](...args))();
    result.then((value) => say({ kind: 'result', call, value }), (error) => say({ kind: 'result', call, error }));
  },
  answer: ({ question, value, error }) => {
    const { resolve, reject } = questions.get(question);
    questions.delete(question);
    if (error) reject(error);
    else resolve(value);
  },
};

globalThis.hear = (text) => {
  const message = decode(text, { thing: (number) => things.get(number), call: ask });
  actions[message.kind](message);
};
