#!/usr/bin/env bash
# npm centrifuge 5.8.0 (with ws 8.23.0, Node.js 20): an unsubscribe push for a subscription that is still being made is
# ignored. Whether the client ends up subscribed depends on the reply alone.
#
# Guess: after an unsubscribe push with a code below 2500, which the Centrifuge protocol makes final, the subscription is
# unsubscribed with that code, and a reply to the subscribe command that comes later changes nothing.
#
# Seen: the push raises no event. A successful reply afterwards makes the client "subscribed", to a channel from which the
# server has unsubscribed it; a temporary error makes it subscribe again; a final error makes it "unsubscribed", with the
# error's code and not the push's. A server that ends a subscription for good before it has answered the subscribe command
# must therefore answer that command with a final error.
#
# Output seen:
#   push 2000, then a result: subscribed, 1 subscribe command
#   push 2000, then temporary error 100: subscribing, 2 subscribe commands
#   push 2000, then error 103: unsubscribed with 103, 1 subscribe command
set -euo pipefail
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cd "$directory"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund centrifuge@5.8.0 ws@8.23.0 >/dev/null
cat >run.js <<'JS'
const {WebSocketServer, WebSocket} = require('ws');
const {Centrifuge} = require('centrifuge');

// outcome lets a server answer the first subscribe command with a push and then the reply, and later commands never.
const outcome = reply => new Promise(resolve => {
  let commands = 0;
  const server = new WebSocketServer({host: '127.0.0.1', port: 0});
  server.on('connection', socket => {
    const send = message => socket.send(JSON.stringify(message));
    socket.on('message', text => {
      for (const line of text.toString().trim().split('\n')) {
        const command = JSON.parse(line);
        if (command.connect) send({id: command.id, connect: {client: 'c', version: 'x', ping: 25, pong: true}});
        if (!command.subscribe || ++commands > 1) continue;
        send({push: {channel: 'news', unsubscribe: {code: 2000, reason: 'server unsubscribe'}}});
        send({id: command.id, ...reply});
      }
    });
  });
  server.on('listening', () => {
    const client = new Centrifuge(`ws://127.0.0.1:${server.address().port}`, {websocket: WebSocket});
    const subscription = client.newSubscription('news', {minResubscribeDelay: 1, maxResubscribeDelay: 1});
    let code = '';
    subscription.on('unsubscribed', context => { code = ` with ${context.code}`; });
    subscription.subscribe();
    client.connect();
    setTimeout(() => {
      const plural = commands === 1 ? '' : 's';
      resolve(`${subscription.state}${code}, ${commands} subscribe command${plural}`);
      client.disconnect();
      server.close();
    }, 1500);
  });
});

(async () => {
  console.log('push 2000, then a result:', await outcome({subscribe: {}}));
  const temporary = {error: {code: 100, message: 'internal server error', temporary: true}};
  console.log('push 2000, then temporary error 100:', await outcome(temporary));
  const final = {error: {code: 103, message: 'permission denied'}};
  console.log('push 2000, then error 103:', await outcome(final));
  process.exit(0);
})();
JS
output=$(node run.js)
echo "$output"
expected='push 2000, then a result: subscribed, 1 subscribe command
push 2000, then temporary error 100: subscribing, 2 subscribe commands
push 2000, then error 103: unsubscribed with 103, 1 subscribe command'
if [ "$output" != "$expected" ]; then
  echo "the behaviour has changed; expected:" >&2
  echo "$expected" >&2
  exit 1
fi
