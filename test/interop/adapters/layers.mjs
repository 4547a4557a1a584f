// The stacks of npm that connect again by themselves, each as its documentation shows it.
import { Centrifuge } from 'centrifuge';
import WebSocket from 'ws';

export const layers = {
  'centrifuge-js': {
    package: 'centrifuge',
    open(url, tell, channel) {
      const client = new Centrifuge(url, { websocket: WebSocket });
      const subscription = client.newSubscription(channel);
      client.on('connecting', ({ code, reason }) => code && tell.sees(`connecting ${code} ${reason}`));
      client.on('error', ({ error }) => tell.sees(`error ${error.code} ${error.message}`));
      client.on('disconnected', ({ code, reason }) => {
        tell.last(`disconnected ${code} ${reason}`);
        tell.ended();
      });
      subscription.on('subscribed', tell.open);
      subscription.on('publication', ({ data }) => tell.message(data));
      subscription.subscribe();
      client.connect();
      return { send: (text) => subscription.publish(text), close: () => client.disconnect() };
    },
  },
};
