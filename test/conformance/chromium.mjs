// The peer Chromium, without a window: a WebSocket in a page.
import puppeteer from 'puppeteer-core';
import { answer, patience } from './peer.mjs';

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM,
  headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'],
});
// Pages by their URL: where a page comes from is what the gateway judges.
const pages = new Map();
async function pageAt(url) {
  if (!pages.has(url)) {
    const page = await browser.newPage();
    await page.goto(url);
    pages.set(url, page);
  }
  return pages.get(url);
}

// Runs inside the page.
function perform(exchange, patience) {
  const decode = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const encode = (bytes) => {
    let text = '';
    for (const b of bytes) text += String.fromCharCode(b);
    return btoa(text);
  };
  return new Promise((resolve) => {
    const outcome = { opened: false, status: 0, subprotocol: '', extensions: '', messages: [], pings: 0, pongs: 0, code: 0, reason: '', failure: '' };
    const socket = new WebSocket(exchange.url, exchange.subprotocols ?? []);
    socket.binaryType = 'arraybuffer';
    const end = (failure = '') => {
      clearTimeout(late);
      outcome.failure = failure;
      resolve(outcome);
    };
    const late = setTimeout(() => end('the connection did not end'), patience);
    let wake = () => {};
    socket.onmessage = ({ data }) => {
      const isText = typeof data === 'string';
      outcome.messages.push({ kind: isText ? 'text' : 'binary', data: encode(isText ? new TextEncoder().encode(data) : new Uint8Array(data)) });
      wake();
    };
    socket.onclose = ({ code, reason, wasClean }) => {
      Object.assign(outcome, { code, reason });
      end(outcome.opened && !wasClean ? `not a clean end: ${code} ${reason}` : '');
    };
    socket.onopen = async () => {
      Object.assign(outcome, { opened: true, subprotocol: socket.protocol, extensions: socket.extensions });
      for (const step of exchange.steps ?? []) {
        switch (step.do) {
          case 'send': {
            const bytes = decode(step.fragments[0]);
            socket.send(step.kind === 'text' ? new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes) : bytes);
            break;
          }
          case 'await':
            while (outcome.messages.length < step.messages) await new Promise((resume) => (wake = resume));
            break;
          case 'rest':
            await new Promise((resume) => setTimeout(resume, step.ms));
            break;
          case 'close':
            if (step.code) socket.close(step.code, step.reason ?? '');
            else socket.close();
        }
      }
    };
  });
}

await answer(async (exchange) => (await pageAt(exchange.page || process.env.PAGE)).evaluate(perform, exchange, patience));
await browser.close();
