// Rooms where everybody talks: each client publishes to its room every PAUSE seconds, at a moment of its own.
import { channelOf, connect, numbers, settings } from './client.js';

export { options } from './client.js';

const pause = Number(__ENV.PAUSE || 5) * 1000;

export default function () {
  for (const n of numbers()) {
    connect(channelOf(n), settings.seconds * 1000, (client) => {
      const until = Date.now() + (settings.seconds - 1) * 1000;
      const talk = () => {
        if (Date.now() > until) return;
        client.publish();
        setTimeout(talk, pause);
      };
      setTimeout(talk, Math.random() * pause);
    });
  }
}
