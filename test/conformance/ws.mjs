// The peer npm ws.
import WebSocket from 'ws';
import { answer, patience } from './peer.mjs';

await answer(
  (exchange) =>
    new Promise((resolve) => {
      const outcome = { opened: false, status: 0, subprotocol: '', extensions: '', messages: [], pings: 0, pongs: 0, code: 0, reason: '', failure: '' };
      const socket = new WebSocket(exchange.url, exchange.subprotocols ?? [], {
        origin: exchange.page || undefined,
        perMessageDeflate: exchange.compress ? { threshold: 0 } : false,
      });
      const end = (failure = '') => {
        clearTimeout(late);
        outcome.failure = failure;
        resolve(outcome);
      };
      const late = setTimeout(() => {
        end('the connection did not end');
        socket.terminate();
      }, patience);

      let wake = () => {};
      const until = async (condition) => {
        while (!condition()) await new Promise((resume) => (wake = resume));
      };
      socket.on('upgrade', (response) => (outcome.extensions = response.headers['sec-websocket-extensions'] ?? ''));
      socket.on('unexpected-response', (request, response) => {
        outcome.status = response.statusCode;
        request.destroy();
        end();
      });
      socket.on('error', (error) => {
        if (!outcome.opened && !outcome.status) end(String(error));
      });
      socket.on('message', (data, isBinary) => {
        outcome.messages.push({ kind: isBinary ? 'binary' : 'text', data: data.toString('base64') });
        wake();
      });
      socket.on('ping', () => outcome.pings++);
      socket.on('pong', () => {
        outcome.pongs++;
        wake();
      });
      socket.on('close', (code, reason) => {
        Object.assign(outcome, { code, reason: reason.toString() });
        end();
      });
      socket.on('open', async () => {
        outcome.opened = true;
        outcome.subprotocol = socket.protocol;
        for (const step of exchange.steps ?? []) {
          switch (step.do) {
            case 'send':
              step.fragments.forEach((fragment, i) => {
                socket.send(Buffer.from(fragment, 'base64'), { binary: step.kind === 'binary', fin: i === step.fragments.length - 1 });
              });
              break;
            case 'await':
              await until(() => outcome.messages.length >= step.messages);
              break;
            case 'ping': {
              const pongs = outcome.pongs;
              socket.ping('payload');
              await until(() => outcome.pongs > pongs);
              break;
            }
            case 'rest':
              await new Promise((resume) => setTimeout(resume, step.ms));
              break;
            case 'close':
              socket.close(step.code || undefined, step.reason || undefined);
          }
        }
      });
    }),
);
