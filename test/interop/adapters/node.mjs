// The stacks of npm. Commands come in as lines of JSON and events go out (adapter_test.go says which). A stack is a
// function that connects, tells what its application sees, and returns what the application can do.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import WebSocket from 'ws';
import { follow, layers } from './layers.mjs';

const require = createRequire(import.meta.url);
const versionOf = (name) => JSON.parse(readFileSync(new URL(`../node_modules/${name}/package.json`, import.meta.url))).version;

// Layers are written for browsers; in Node applications give them ws.
globalThis.WebSocket = WebSocket;
// Some want a window besides, and others take it for a browser: the argument says which are in this process.
if (process.argv[2] === 'window') {
  globalThis.window = globalThis;
  globalThis.navigator ??= { onLine: true };
  globalThis.document = { visibilityState: 'visible', addEventListener() {} };
  globalThis.addEventListener = globalThis.removeEventListener = () => {};
  globalThis.IS_REACT_ACT_ENVIRONMENT = true;
}

const say = (message) => process.stdout.write(JSON.stringify(message) + '\n');

// What one client tells.
function teller(id) {
  const tell = (event, more) => say({ id, event, ...more });
  return {
    open: () => tell('open'),
    message: (data) => {
      const text = typeof data === 'string' ? data : Buffer.from(data).toString();
      tell('message', text.length > 1000 ? { size: text.length } : { text });
    },
    sees: (text) => tell('sees', { text: text.trim() }),
    last: (text) => tell('sees', { text: text.trim(), last: true }),
    ended: () => tell('ended'),
    failed: (error) => tell('failed', { text: String(error?.stack ?? error) }),
  };
}

const stacks = {
  'npm ws': {
    package: 'ws',
    open(url, tell) {
      const socket = new WebSocket(url);
      socket.on('open', tell.open);
      socket.on('message', (data) => tell.message(data.toString()));
      socket.on('error', (error) => tell.sees(`error ${error.message}`));
      socket.on('close', (code, reason) => tell.last(`close ${code} ${reason}`));
      return {
        send: (text) => socket.send(text),
        fragments: (parts) => parts.forEach((part, i) => socket.send(part, { fin: i === parts.length - 1 })),
        close: () => socket.close(),
      };
    },
  },
  'faye-websocket': {
    package: 'faye-websocket',
    open(url, tell) {
      return follow(new (require('faye-websocket').Client)(url), tell);
    },
  },
  'npm websocket': {
    package: 'websocket',
    open(url, tell) {
      const client = new (require('websocket').client)();
      let connection;
      client.on('connectFailed', (error) => tell.last(`connectFailed ${String(error.message ?? error).split('\n')[0]}`));
      client.on('connect', (made) => {
        connection = made;
        made.on('message', ({ utf8Data, binaryData }) => tell.message(utf8Data ?? binaryData));
        made.on('error', (error) => tell.sees(`error ${error.message}`));
        made.on('close', (code, reason) => tell.last(`close ${code} ${reason}`));
        tell.open();
      });
      client.connect(url);
      return {
        send: (text) => connection.sendUTF(text),
        // Above 16 KiB it makes fragments by itself.
        fragments: (parts) => connection.sendUTF(parts.join('')),
        close: () => connection?.close(),
      };
    },
  },
  undici: {
    package: 'undici',
    open(url, tell) {
      return follow(new (require('undici').WebSocket)(url), tell);
    },
  },
  Chromium: {
    version: () => execFileSync('chromium', ['--version'], { stdio: ['ignore', 'pipe', 'ignore'] }).toString().split(' ')[1].split('.')[0],
    async open(url, tell) {
      const page = await (await browser()).newPage();
      await page.exposeFunction('say', (event, argument) => tell[event](argument));
      await page.goto(process.env.SITE);
      await page.evaluate((url, follow) => {
        const tell = new Proxy({}, { get: (_, event) => (argument) => window.say(event, argument) });
        window.socket = new WebSocket(url);
        new Function(`return ${follow}`)()(window.socket, tell);
      }, url, follow.toString());
      return {
        send: (text) => page.evaluate((text) => window.socket.send(text), text),
        close: () => page.close(),
      };
    },
  },
  ...layers,
};

// The browser that all pages share.
let launched;
const browser = () => (launched ??= import('puppeteer-core').then(({ default: puppeteer }) => puppeteer.launch({
  executablePath: '/usr/bin/chromium',
  headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'],
})));

const clients = new Map();
async function carryOut({ id, do: action, stack, url, channel, text, parts }) {
  switch (action) {
    case 'open':
      clients.set(id, stacks[stack].open(url, teller(id), channel));
      return clients.get(id);
    case 'send':
      return (await clients.get(id)).send(text);
    case 'fragments':
      return (await clients.get(id)).fragments(parts);
    case 'close':
      return (await clients.get(id))?.close();
  }
}

// An error that reaches no handler would end an application. It is told, and this program goes on.
process.on('uncaughtException', (error) => process.stderr.write(`uncaught: ${error.stack}\n`));
process.on('unhandledRejection', (error) => process.stderr.write(`unhandled: ${error?.stack ?? error}\n`));
// Layers report here what the suite sees elsewhere. Standard output is for events.
for (const level of ['log', 'info', 'debug', 'warn', 'error']) console[level] = () => {};

// A program that is not installed has no version, which only matters to a run that wants it.
function attempt(version) {
  try {
    return version();
  } catch {
    return '';
  }
}

const versions = {};
for (const [name, stack] of Object.entries(stacks)) {
  versions[name] = stack.package ? versionOf(stack.package) : attempt(stack.version);
}
say({ id: 0, event: 'hello', versions });
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  carryOut(command).catch((error) => teller(command.id).failed(error));
}
await launched?.then((b) => b.close()).catch(() => {});
process.exit(0);
