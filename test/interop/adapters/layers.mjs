// The stacks of npm that connect again by themselves, each with its defaults, as its documentation shows it.
import { createRequire } from 'node:module';
import WebSocket from 'ws';

const require = createRequire(import.meta.url);
const host = (url) => new URL(url).host;

// What the events of a WebSocket look like to an application.
export function follow(socket, tell) {
  socket.onopen = () => tell.open();
  socket.onmessage = ({ data }) => tell.message(data);
  socket.onerror = (e) => tell.sees(`error ${e?.message || ''}`);
  socket.onclose = (e) => tell.last(`close ${e.code} ${e.reason || ''}`);
  return socket;
}

// An error as an application would print it.
const text = (error) => String(error?.message ?? error ?? '').split('\n')[0];

const likeWebSocket = {
  'reconnecting-websocket': {
    package: 'reconnecting-websocket',
    open: (url, tell) => follow(new (require('reconnecting-websocket').default ?? require('reconnecting-websocket'))(url), tell),
  },
  partysocket: {
    package: 'partysocket',
    async open(url, tell) {
      const { WebSocket: ReconnectingWebSocket } = await import('partysocket');
      return follow(new ReconnectingWebSocket(url), tell);
    },
  },
  sockette: {
    package: 'sockette',
    open(url, tell) {
      const handlers = {};
      follow(handlers, tell);
      return require('sockette')(url, handlers);
    },
  },
  'robust-websocket': {
    package: 'robust-websocket',
    open: (url, tell) => follow(new (require('robust-websocket'))(url), tell),
  },
  'websocket-ts': {
    package: 'websocket-ts',
    open(url, tell) {
      const { ConstantBackoff, WebsocketBuilder } = require('websocket-ts');
      return new WebsocketBuilder(url).withBackoff(new ConstantBackoff(1000))
        .onOpen(() => tell.open())
        .onMessage((_, { data }) => tell.message(data))
        .onError((_, e) => tell.sees(`error ${e?.message || ''}`))
        .onClose((_, e) => tell.last(`close ${e.code} ${e.reason || ''}`))
        .build();
    },
  },
  'react-use-websocket': {
    package: 'react-use-websocket',
    async open(url, tell) {
      const { createElement } = await import('react');
      const { default: renderer } = await import('react-test-renderer');
      const { default: useWebSocket } = require('react-use-websocket');
      const done = {};
      const App = () => {
        const { sendMessage } = useWebSocket(url, {
          onOpen: () => tell.open(),
          onMessage: ({ data }) => tell.message(data),
          onError: (e) => tell.sees(`onError ${e?.message || ''}`),
          onClose: (e) => tell.last(`onClose ${e.code} ${e.reason || ''}`),
          onReconnectStop: () => tell.ended(),
          shouldReconnect: () => true,
        });
        done.send = sendMessage;
        return null;
      };
      let root;
      renderer.act(() => {
        root = renderer.create(createElement(App));
      });
      done.close = () => renderer.act(() => root.unmount());
      return done;
    },
  },
  'rxjs webSocket': {
    package: 'rxjs',
    async open(url, tell) {
      const { retry } = await import('rxjs');
      const { webSocket } = await import('rxjs/webSocket');
      const subject = webSocket({
        url,
        WebSocketCtor: WebSocket,
        serializer: (value) => value,
        deserializer: ({ data }) => data,
        openObserver: { next: () => tell.open() },
        closeObserver: { next: (e) => tell.sees(`closeObserver ${e.code} ${e.reason || ''}`) },
      });
      const subscription = subject.pipe(retry({ delay: 1000 })).subscribe({
        next: (data) => tell.message(data),
        error: (error) => tell.last(`error ${text(error)}`),
        complete: () => {
          tell.last('complete');
          tell.ended();
        },
      });
      return { send: (data) => subject.next(data), close: () => subscription.unsubscribe() };
    },
  },
  'trpc wsLink': {
    package: '@trpc/client',
    async open(url, tell) {
      const { createWSClient } = await import('@trpc/client');
      return createWSClient({
        url,
        WebSocket,
        onOpen: () => tell.open(),
        onError: (e) => tell.sees(`onError ${e?.message || ''}`),
        onClose: (cause) => tell.last(`onClose ${cause?.code ?? ''}`),
      });
    },
  },
};

// These have a protocol of their own. The suite says what their server would when they have connected.
const protocols = {
  'graphql-ws': {
    package: 'graphql-ws',
    async open(url, tell) {
      const { createClient } = await import('graphql-ws');
      const client = createClient({
        url,
        webSocketImpl: WebSocket,
        lazy: false,
        onNonLazyError: () => tell.ended(),
        on: {
          connected: () => tell.open(),
          error: (e) => tell.sees(`error ${e?.message || ''}`),
          closed: (e) => tell.last(`closed ${e?.code ?? ''} ${e?.reason || ''}`),
        },
      });
      return { close: () => client.dispose() };
    },
  },
  stompjs: {
    package: '@stomp/stompjs',
    async open(url, tell) {
      const { Client } = await import('@stomp/stompjs');
      const client = new Client({
        brokerURL: url,
        onConnect: () => tell.open(),
        onWebSocketError: (e) => tell.sees(`onWebSocketError ${e?.message || ''}`),
        onWebSocketClose: (e) => tell.last(`onWebSocketClose ${e.code} ${e.reason || ''}`),
      });
      client.activate();
      return { close: () => client.deactivate() };
    },
  },
  phoenix: {
    package: 'phoenix',
    async open(url, tell) {
      const { Socket } = await import('phoenix');
      const socket = new Socket(`ws://${host(url)}/socket`, { transport: WebSocket });
      socket.onOpen(() => tell.open());
      socket.onError((e) => tell.sees(`onError ${e?.message || ''}`));
      socket.onClose((e) => tell.last(`onClose ${e?.code ?? ''} ${e?.reason || ''}`));
      socket.connect();
      return { close: () => socket.disconnect() };
    },
  },
  'supabase realtime': {
    package: '@supabase/realtime-js',
    async open(url, tell) {
      const { RealtimeClient } = await import('@supabase/realtime-js');
      const client = new RealtimeClient(`ws://${host(url)}/realtime/v1`, { params: { apikey: 'key' }, transport: WebSocket });
      client.stateChangeCallbacks.open.push(['1', () => tell.open()]);
      client.stateChangeCallbacks.error.push(['2', (e) => tell.sees(`error ${e?.message || ''}`)]);
      client.stateChangeCallbacks.close.push(['3', (e) => tell.last(`close ${e?.code ?? ''} ${e?.reason || ''}`)]);
      client.connect();
      return { close: () => client.disconnect() };
    },
  },
  'pusher-js': {
    package: 'pusher-js',
    open(url, tell) {
      const Pusher = require('pusher-js');
      const { hostname, port } = new URL(url);
      const pusher = new Pusher('key', {
        cluster: '',
        wsHost: hostname,
        wsPort: Number(port),
        forceTLS: false,
        enabledTransports: ['ws'],
      });
      pusher.connection.bind('error', (e) => tell.sees(`error ${e?.error?.data?.code ?? e?.error?.message ?? ''}`));
      pusher.connection.bind('state_change', ({ previous, current }) => {
        if (current === 'connected') tell.open();
        else if (previous === 'connected' || current === 'unavailable') tell.last(`state ${current}`);
        if (current === 'failed') tell.ended();
      });
      return { close: () => pusher.disconnect() };
    },
  },
  signalr: {
    package: '@microsoft/signalr',
    async open(url, tell) {
      const { HttpTransportType, HubConnectionBuilder, LogLevel } = await import('@microsoft/signalr');
      const connection = new HubConnectionBuilder()
        .withUrl(`http://${host(url)}/hub`, { transport: HttpTransportType.WebSockets, skipNegotiation: true, WebSocket })
        .withAutomaticReconnect()
        .configureLogging(LogLevel.None)
        .build();
      connection.onreconnecting((e) => tell.sees(`onreconnecting ${text(e)}`));
      connection.onreconnected(() => tell.open());
      connection.onclose((e) => {
        tell.last(`onclose ${text(e)}`);
        tell.ended();
      });
      connection.start().then(() => tell.open(), (e) => tell.last(`start fails ${text(e)}`));
      return { close: () => connection.stop() };
    },
  },
  'socket.io-client': {
    package: 'socket.io-client',
    async open(url, tell) {
      const { io } = await import('socket.io-client');
      const socket = io(`http://${host(url)}`, { transports: ['websocket'], forceNew: true });
      socket.on('connect', () => tell.open());
      socket.on('connect_error', (e) => tell.last(`connect_error ${text(e)}`));
      socket.on('disconnect', (reason, details) => tell.last(`disconnect ${reason} ${details?.context?.code ?? ''}`));
      return { close: () => socket.close() };
    },
  },
  'mqtt.js': {
    package: 'mqtt',
    open(url, tell) {
      const client = require('mqtt').connect(`ws://${host(url)}/mqtt`);
      client.on('connect', () => tell.open());
      client.on('error', (e) => tell.sees(`error ${text(e)}`));
      client.on('close', () => tell.last('close'));
      return { close: () => client.end(true) };
    },
  },
  'y-websocket': {
    package: 'y-websocket',
    async open(url, tell, channel) {
      const { WebsocketProvider } = await import('y-websocket');
      const { Doc } = await import('yjs');
      const options = { params: { channel }, WebSocketPolyfill: WebSocket, disableBc: true };
      const provider = new WebsocketProvider(`ws://${host(url)}`, 'ws', new Doc(), options);
      provider.on('status', ({ status }) => status === 'connected' && tell.open());
      provider.on('connection-error', (e) => tell.sees(`connection-error ${e?.message || ''}`));
      provider.on('connection-close', (e) => tell.last(`connection-close ${e?.code ?? ''} ${e?.reason || ''}`));
      provider.on('closed', () => tell.ended());
      return { close: () => provider.destroy() };
    },
  },
  actioncable: {
    package: '@rails/actioncable',
    open(url, tell) {
      const { createConsumer } = require('@rails/actioncable');
      const consumer = createConsumer(url);
      consumer.subscriptions.create('Room', {
        connected: () => tell.open(),
        disconnected: () => tell.last('disconnected'),
      });
      return { close: () => consumer.disconnect() };
    },
  },
  'centrifuge-js': {
    package: 'centrifuge',
    async open(url, tell, channel) {
      const { Centrifuge } = await import('centrifuge');
      const client = new Centrifuge(url, { websocket: WebSocket });
      const subscription = client.newSubscription(channel);
      client.on('connecting', ({ code, reason }) => code && tell.sees(`connecting ${code} ${reason}`));
      client.on('error', ({ error }) => tell.sees(`error ${error.code} ${error.message}`));
      client.on('disconnected', ({ code, reason }) => {
        tell.last(`disconnected ${code} ${reason}`);
        tell.ended();
      });
      subscription.on('subscribed', () => tell.open());
      subscription.on('publication', ({ data }) => tell.message(data));
      subscription.subscribe();
      client.connect();
      return { send: (data) => subscription.publish(data), close: () => client.disconnect() };
    },
  },
};

export const layers = { ...likeWebSocket, ...protocols };
