#!/usr/bin/env bash
# npm centrifuge 5.8.0 (with ws 8.23.0, Node.js 20): the same error, 109 "token expired", makes the client get another token
# in one reply and give up in another.
#
# Guess: whichever command a server answers with error 109, the client asks its token source once more, as for connect.
#
# Seen: in reply to connect and to subscribe it asks again, and is connected or subscribed with the second token. In reply to
# refresh it is disconnected with code 109, and in reply to sub_refresh unsubscribed with code 109, for good, although its
# token source has a good token by then. A server must close the connection (3005) or push an unsubscribe (2501) instead. The
# client comes back, after 3005 with the ended token first, and asks for another one. A token source that caches the token
# for a moment too long is enough to meet this.
#
# Output seen:
#   109 to connect: connected, 2 tokens
#   109 to subscribe: subscribed, 2 tokens
#   109 to refresh: disconnected with 109, 2 tokens
#   109 to sub_refresh: unsubscribed with 109, 2 tokens
#   close 3005 at refresh: connected, 3 tokens
#   unsubscribe 2501 at sub_refresh: subscribed, 3 tokens
set -euo pipefail
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cd "$directory"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund centrifuge@5.8.0 ws@8.23.0 >/dev/null
cat >run.js <<'JS'
const {WebSocketServer, WebSocket} = require('ws');
const {Centrifuge} = require('centrifuge');

const expired = {error: {code: 109, message: 'token expired'}};

// A server whose tokens are numbers, of which bad has ended, and 0 ends in a second. answer replies to a command with bad.
const outcome = (bad, answer, observe) => new Promise(resolve => {
  const server = new WebSocketServer({host: '127.0.0.1', port: 0});
  server.on('connection', socket => {
    const send = message => socket.send(JSON.stringify(message));
    const ends = token => (token === 0 ? {expires: true, ttl: 1} : {});
    socket.on('message', text => {
      for (const line of text.toString().trim().split('\n')) {
        const {id, ...command} = JSON.parse(line);
        const [name] = Object.keys(command);
        const token = Number(command[name]?.token ?? 9);
        if (token === bad) answer(socket, send, id, name);
        else if (name === 'connect') send({id, connect: {client: 'c', version: 'x', ping: 25, pong: true, ...ends(token)}});
        else if (name === 'subscribe') send({id, subscribe: ends(token)});
        else if (name) send({id, [name]: {}});
      }
    });
  });
  server.on('listening', () => {
    let tokens = 0;
    const getToken = async () => String(tokens++);
    const minimal = {minReconnectDelay: 1, maxReconnectDelay: 1, minResubscribeDelay: 1, maxResubscribeDelay: 1};
    const onConnection = observe === 'connection';
    const client = new Centrifuge(`ws://127.0.0.1:${server.address().port}`,
      {websocket: WebSocket, ...minimal, ...(onConnection ? {getToken} : {})});
    const subscription = client.newSubscription('news', {...minimal, ...(onConnection ? {} : {getToken})});
    const observed = onConnection ? client : subscription;
    let code = '';
    observed.on(onConnection ? 'disconnected' : 'unsubscribed', context => { code = ` with ${context.code}`; });
    if (!onConnection) subscription.subscribe();
    client.connect();
    setTimeout(() => {
      resolve(`${observed.state}${code}, ${tokens} tokens`);
      client.disconnect();
      server.close();
    }, 3500);
  });
});

const withError = (socket, send, id) => send({id, ...expired});
(async () => {
  console.log('109 to connect:', await outcome(0, withError, 'connection'));
  console.log('109 to subscribe:', await outcome(0, withError, 'subscription'));
  console.log('109 to refresh:', await outcome(1, withError, 'connection'));
  console.log('109 to sub_refresh:', await outcome(1, withError, 'subscription'));
  const close = (socket, send, id, name) =>
    (name === 'refresh' ? socket.close(3005, 'connection expired') : send({id, ...expired}));
  console.log('close 3005 at refresh:', await outcome(1, close, 'connection'));
  const push = (socket, send, id) => {
    send({push: {channel: 'news', unsubscribe: {code: 2501, reason: 'subscription expired'}}});
    send({id, ...expired});
  };
  console.log('unsubscribe 2501 at sub_refresh:', await outcome(1, push, 'subscription'));
  process.exit(0);
})();
JS
output=$(node run.js)
echo "$output"
expected='109 to connect: connected, 2 tokens
109 to subscribe: subscribed, 2 tokens
109 to refresh: disconnected with 109, 2 tokens
109 to sub_refresh: unsubscribed with 109, 2 tokens
close 3005 at refresh: connected, 3 tokens
unsubscribe 2501 at sub_refresh: subscribed, 3 tokens'
if [ "$output" != "$expected" ]; then
  echo "the behaviour has changed; expected:" >&2
  echo "$expected" >&2
  exit 1
fi
