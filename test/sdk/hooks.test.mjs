// A backend that is asked and told: callbacks that let clients in, change what they send and answer
// their calls, and webhooks.
import assert from 'node:assert/strict';
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { createServer } from 'node:http';
import { after, before } from 'node:test';
import { api, code, connect, connectAs, gateway, gateways, Inbox, make, pause, prepare, publish, scenarios, subscribe, unique, until } from './clients.mjs';

const secret = `whsec_${randomBytes(32).toString('base64')}`;

// As the documentation says that receivers verify.
function verify(headers, body) {
  const id = headers['webhook-id'];
  const timestamp = headers['webhook-timestamp'];
  if (!(Math.abs(Date.now() / 1000 - Number(timestamp)) < 300)) return false;
  const want = createHmac('sha256', Buffer.from(secret.replace('whsec_', ''), 'base64')).update(`${id}.${timestamp}.`).update(body).digest();
  return (headers['webhook-signature'] ?? '').split(' ').some((signature) => {
    const got = Buffer.from(signature.replace('v1,', ''), 'base64');
    return got.length === want.length && timingSafeEqual(got, want);
  });
}

// What the backend answers to whom. A question is about a user or a channel that only one test has.
const answers = new Map();
const asked = new EventEmitter();
const events = [];
const refused = { error: { code: 400, message: 'signature' } };

const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  const sound = verify(request.headers, body);
  if (request.url === '/events') {
    if (sound) events.push(...JSON.parse(body));
    response.writeHead(sound ? 204 : 401).end();
    return;
  }
  const question = JSON.parse(body);
  const topic = question.method ?? question.channel ?? question.name;
  asked.emit(`${request.url} ${topic}`, { ...question, cookie: request.headers.cookie });
  const prepared = answers.get(`${request.url} ${topic}`);
  const answer = typeof prepared === 'function' ? await prepared(question) : prepared;
  if (answer === 'down') {
    response.writeHead(503).end();
    return;
  }
  response.setHeader('Content-Type', 'application/json');
  response.end(JSON.stringify(sound ? answer ?? { result: {} } : refused));
});

let hooked;
before(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const backend = `http://127.0.0.1:${server.address().port}`;
  const urls = ['connect', 'subscribe', 'publish', 'rpc'].map((hook) => `--hook-${hook}-url=${backend}/${hook}`);
  hooked = await gateway(...urls, `--webhook-url=${backend}/events`, `--hook-secret=${secret}`, '--hook-forward-headers=Cookie', '--hook-timeout=10s');
});
after(async () => {
  // While there is somebody to tell: a gateway that ends delivers what is left.
  await hooked.stop();
  server.close();
});

scenarios('connect', (scenario) => {
  scenario('says who the client is, from its handshake and its data', async (t, sdk) => {
    const [user, channel, name] = [unique('user'), unique('token'), unique('app')];
    const question = new Inbox(asked, `/connect ${name}`);
    answers.set(`/connect ${name}`, {
      result: { user, info: { name: 'Ann' }, data: { motd: 'hi' }, channels: [channel], caps: [{ channels: ['token:*'], match: 'wildcard', allow: ['sub', 'pub'] }] },
    });
    const headers = { Cookie: 'session=42' };
    const ann = await connect(t, sdk, hooked.address, { name, version: '1.2.3', data: sdk.data({ room: 'lobby' }), headers });
    const q = await question.next();
    assert.deepEqual([q.client, q.protocol, q.version, q.transport], [ann.context.client, sdk.name, '1.2.3', 'websocket']);
    assert.deepEqual(q.data, { room: 'lobby' });
    assert.equal(q.headers.Cookie, 'session=42');
    assert.equal(q.cookie, 'session=42');
    assert.deepEqual(sdk.value(ann.context.data), { motd: 'hi' });
    assert.equal((await ann.subscribed.next()).channel, channel);

    const witness = await subscribe(await connectAs(t, sdk, gateways[0], { caps: [{ channels: ['token:*'], allow: ['sub'] }] }), channel);
    await ann.client.publish(channel, sdk.data('by caps'));
    const { info } = await witness.publications.next();
    assert.equal(info.user, user);
    assert.deepEqual(sdk.value(info.connInfo), { name: 'Ann' });
    await subscribe(ann, unique('token'));
    assert.deepEqual(await api(gateways[0], 'send', { user, data: 1 }), { reached: 1 });
  });

  scenario('is asked again at the end that it has set, where the client has no token', async (t, sdk) => {
    const name = unique('app');
    const question = new Inbox(asked, `/connect ${name}`);
    answers.set(`/connect ${name}`, () => ({ result: { user: unique('user'), expire_at: Math.floor(Date.now() / 1000) + 2 } }));
    const ann = await connect(t, sdk, hooked.address, { name });
    await question.next();
    assert.equal((await ann.connecting.next()).code, 3005);
    await question.next();
    await ann.connected.next();
    assert.equal(ann.disconnected.unread, 0);
  });

  scenario('without a match gives names, not patterns', async (t, sdk) => {
    const [name, channel] = [unique('app'), unique('token')];
    answers.set(`/connect ${name}`, { result: { user: unique('user'), caps: [{ channels: [channel, 'token:*'], allow: ['sub'] }] } });
    const ann = await connect(t, sdk, hooked.address, { name });
    await subscribe(ann, channel);
    const other = prepare(ann, unique('token'));
    other.subscription.subscribe();
    assert.equal((await other.unsubscribed.next()).code, 103);
  });

  scenario('refuses with an error, or ends the connection', async (t, sdk) => {
    for (const [answer, expected] of [
      [{ error: { code: 403, message: 'not yours' } }, { code: 403, reason: 'not yours' }],
      [{ disconnect: { code: 4501, reason: 'banned' } }, { code: 4501, reason: 'banned' }],
    ]) {
      const name = unique('app');
      answers.set(`/connect ${name}`, answer);
      const { client, disconnected } = make(t, sdk, hooked.address, { name });
      client.connect();
      assert.deepEqual(await disconnected.next(), expected);
    }
  });
});

scenarios('subscribe and publish', (scenario) => {
  scenario('subscribe adds data and what others see', async (t, sdk) => {
    const channel = unique('present');
    const question = new Inbox(asked, `/subscribe ${channel}`);
    answers.set(`/subscribe ${channel}`, { result: { info: { role: 'host' }, data: { topic: 'tea' } } });
    const ann = await connectAs(t, sdk, hooked.address);
    const { context, subscription } = await subscribe(ann, channel, { data: sdk.data({ since: 5 }) });
    const q = await question.next();
    assert.deepEqual([q.user, q.client], [ann.user, ann.context.client]);
    assert.deepEqual(q.data, { since: 5 });
    assert.deepEqual(sdk.value(context.data), { topic: 'tea' });
    const { clients } = await subscription.presence();
    assert.deepEqual(sdk.value(clients[ann.context.client].chanInfo), { role: 'host' });
  });

  scenario('subscribe is asked again at the end that it has set, where the client has no token', async (t, sdk) => {
    const channel = unique('room');
    const question = new Inbox(asked, `/subscribe ${channel}`);
    answers.set(`/subscribe ${channel}`, () => ({ result: { expire_at: Math.floor(Date.now() / 1000) + 2 } }));
    const s = await subscribe(await connect(t, sdk, hooked.address), channel);
    await question.next();
    assert.equal((await s.subscribing.next()).code, 2501);
    await question.next();
    await s.subscribed.next();
    assert.equal(s.unsubscribed.unread, 0);
  });

  scenario('subscribe refuses', async (t, sdk) => {
    const channel = unique('room');
    answers.set(`/subscribe ${channel}`, { error: { code: 403, message: 'members only' } });
    const s = prepare(await connect(t, sdk, hooked.address), channel);
    s.subscription.subscribe();
    assert.deepEqual(await s.unsubscribed.next(), { channel, code: 403, reason: 'members only' });
  });

  scenario('a subscription that the backend ends before its answer stays ended', async (t, sdk) => {
    const channel = unique('room');
    let questions = 0;
    answers.set(`/subscribe ${channel}`, async ({ client }) => {
      questions++;
      await api(hooked.address, 'unsubscribe', { client, channel });
      return { result: {} };
    });
    const s = prepare(await connectAs(t, sdk, hooked.address), channel);
    s.subscription.subscribe();
    assert.ok([103, 2000].includes((await s.unsubscribed.next()).code));
    // An SDK that would subscribe again does so within this time.
    await pause(2500);
    assert.equal(s.subscription.state, 'unsubscribed');
    assert.equal(questions, 1);
  });

  scenario('while the backend is down the client tries again', async (t, sdk) => {
    const channel = unique('room');
    answers.set(`/subscribe ${channel}`, 'down');
    const s = prepare(await connect(t, sdk, hooked.address), channel);
    s.subscription.subscribe();
    assert.equal((await s.error.next()).error.code, 100);
    answers.delete(`/subscribe ${channel}`);
    await s.subscribed.next();
  });

  scenario('publish changes the message, lets it pass, or refuses it', async (t, sdk) => {
    const channel = unique('room');
    const ann = await connectAs(t, sdk, hooked.address);
    const { subscription, values } = await subscribe(ann, channel);
    const question = new Inbox(asked, `/publish ${channel}`);
    answers.set(`/publish ${channel}`, { result: { data: { text: 'h*llo' } } });
    await subscription.publish(sdk.data({ text: 'hello' }));
    const q = await question.next();
    assert.deepEqual([q.user, q.data], [ann.user, { text: 'hello' }]);
    answers.delete(`/publish ${channel}`);
    await subscription.publish(sdk.data('as it is'));
    answers.set(`/publish ${channel}`, { error: { code: 429, message: 'slowly' } });
    await assert.rejects(subscription.publish(sdk.data('refused')), code(429));
    await publish(gateways[0], channel, 'of the backend'); // which nobody asks
    assert.deepEqual(await values(3), [{ text: 'h*llo' }, 'as it is', 'of the backend']);
    answers.set(`/publish ${channel}`, { disconnect: { code: 4500, reason: 'spam' } });
    await assert.rejects(subscription.publish(sdk.data('the last')));
    assert.deepEqual(await ann.disconnected.next(), { code: 4500, reason: 'spam' });
  });
});

scenarios('calls', (scenario) => {
  scenario('rpc returns what the backend says', async (t, sdk) => {
    const method = unique('method');
    const ann = await connectAs(t, sdk, hooked.address);
    const question = new Inbox(asked, `/rpc ${method}`);
    answers.set(`/rpc ${method}`, { result: { data: { sum: 3 } } });
    assert.deepEqual(sdk.value((await ann.client.rpc(method, sdk.data([1, 2]))).data), { sum: 3 });
    const q = await question.next();
    assert.deepEqual([q.user, q.data], [ann.user, [1, 2]]);
    answers.set(`/rpc ${method}`, { error: { code: 1404, message: 'no such thing' } });
    await assert.rejects(ann.client.rpc(method, sdk.data(1)), code(1404));
    answers.set(`/rpc ${method}`, 'down');
    await assert.rejects(ann.client.rpc(method, sdk.data(1)), code(100));
  });

  scenario('send is a call without a method, and without an answer', async (t, sdk) => {
    const ann = await connectAs(t, sdk, hooked.address);
    const word = unique('word');
    const sent = [];
    asked.on('/rpc ', (q) => sent.push(q));
    await ann.client.send(sdk.data({ word }));
    await until('the backend has it', () => sent.some((q) => q.data?.word === word && q.user === ann.user && q.method === ''));
  });

  scenario('are not available where nobody answers them', async (t, sdk) => {
    const { client } = await connect(t, sdk, gateways[0]);
    await assert.rejects(client.rpc('anything', sdk.data(1)), code(108));
    await client.send(sdk.data(1));
    assert.equal(client.state, 'connected');
  });
});

scenarios('webhooks', (scenario) => {
  scenario('tell of connections and channels, signed', async (t, sdk) => {
    const channel = unique('room');
    const ann = await connectAs(t, sdk, hooked.address);
    await subscribe(ann, channel);
    const about = (type, subject) => events.find((e) => e.type === `dev.wsfleet.${type}` && e.subject === subject);
    await until('opened', () => about('connection.opened', ann.context.client));
    await until('occupied', () => about('channel.occupied', channel));
    const opened = about('connection.opened', ann.context.client);
    assert.equal(opened.specversion, '1.0');
    assert.match(opened.source, new RegExp(`/${hooked.name}$`));
    assert.deepEqual(opened.data, { client: ann.context.client, user: ann.user, protocol: sdk.name });
    assert.deepEqual(about('channel.occupied', channel).data, { channel });

    await api(gateways[0], 'disconnect', { user: ann.user, disconnect: { code: 4500, reason: 'bye' } });
    await until('closed', () => about('connection.closed', ann.context.client));
    const { code: closed, reason } = about('connection.closed', ann.context.client).data;
    assert.deepEqual([closed, reason], [4500, 'bye']);
    await until('vacated', () => about('channel.vacated', channel));
  });
});
