// The SDK in pages of Chromium, as if it were here: what is asked of a client or of a subscription is done
// in its page, and what it says there is said here, in the same order.
import { EventEmitter } from 'node:events';
import { after } from 'node:test';
import puppeteer from 'puppeteer-core';
import { decode, encode } from './wire.mjs';

const builds = { json: 'centrifuge.js', protobuf: 'centrifuge.protobuf.js' };

// The browser is shared by all test files. Each has a profile of its own in it.
let profile;
let closing = false;
async function open() {
  const browser = await puppeteer.connect({ browserWSEndpoint: process.env.BROWSER });
  return { browser, context: await browser.createBrowserContext() };
}
after(async () => {
  if (!profile) return;
  const { browser, context } = await profile;
  closing = true;
  await context.close();
  await browser.disconnect();
});

// An empty page of a site.
export async function visit(site) {
  const { context } = await (profile ??= open());
  const page = await context.newPage();
  page.on('pageerror', (error) => {
    throw error;
  });
  await page.goto(`${site}/page.html`);
  return page;
}

// The page whose clients speak one encoding.
const pages = {};
export const page = (encoding) => (pages[encoding] ??= Page.with(builds[encoding]));

class Page {
  #session;
  // What travels as a number: clients and subscriptions, functions, and calls without a result yet.
  #kept = new Map();
  #last = 0;

  static async with(build) {
    const page = await visit(process.env.SITE);
    const made = new Page();
    made.#session = await page.createCDPSession();
    made.#session.on('Runtime.bindingCalled', ({ payload }) => made.#hear(decode(payload)));
    await made.#session.send('Runtime.enable');
    await made.#session.send('Runtime.addBinding', { name: 'tell' });
    await page.addScriptTag({ url: `node_modules/centrifuge/dist/${build}` });
    await page.addScriptTag({ url: 'page.mjs', type: 'module' });
    return made;
  }

  client(endpoint, settings, cookie) {
    if (cookie) this.#say({ kind: 'cookie', cookie });
    return this.make(new Remote(this, 'disconnected'), { kind: 'client', args: [endpoint, settings] });
  }
  make(thing, message) {
    thing.number = this.#keep(thing);
    this.#say({ ...message, as: thing.number });
    return thing;
  }
  call(on, method, args) {
    return new Promise((resolve, reject) => this.#say({ kind: 'call', call: this.#keep({ resolve, reject }), on, method, args }));
  }

  #keep(value) {
    this.#kept.set(++this.#last, value);
    return this.#last;
  }
  #say(message) {
    const text = encode(message, (value) => this.#keep(value));
    this.#session.send('Runtime.evaluate', { expression: `hear(${JSON.stringify(text)})` }).catch((error) => {
      // A page that closes has heard the last message, and may not have said so.
      if (!closing) throw error;
    });
  }
  #hear(message) {
    switch (message.kind) {
      case 'event':
        this.#kept.get(message.thing).emit(message.event, message.context);
        break;
      case 'result': {
        const { resolve, reject } = this.#kept.get(message.call);
        this.#kept.delete(message.call);
        if (message.error) reject(message.error);
        else resolve(message.value);
        break;
      }
      case 'question':
        this.#answer(message);
    }
  }
  async #answer({ question, callback, args }) {
    try {
      this.#say({ kind: 'answer', question, value: await this.#kept.get(callback)(...args) });
    } catch (error) {
      this.#say({ kind: 'answer', question, error });
    }
  }
}

// A client or a subscription that is in a page.
class Remote extends EventEmitter {
  #page;
  constructor(page, state) {
    super();
    this.#page = page;
    this.state = state;
    this.on('state', ({ newState }) => {
      this.state = newState;
    });
    // As with the SDK itself, errors need nobody who listens.
    this.on('error', () => {});
  }
  newSubscription(channel, settings) {
    return this.#page.make(new Remote(this.#page, 'unsubscribed'), { kind: 'subscription', on: this, args: [channel, settings] });
  }
  toJSON() {
    return { $thing: this.number };
  }
  static {
    const methods = [
      'connect', 'disconnect', 'subscribe', 'unsubscribe', 'removeSubscription',
      'publish', 'send', 'rpc', 'history', 'presence', 'presenceStats', 'deltaStats',
    ];
    for (const method of methods) {
      this.prototype[method] = function (...args) {
        return this.#page.call(this, method, args);
      };
    }
  }
}
