// Pairs of clients with a channel of their own: each publishes to it every PAUSE seconds.
import { connect, numbers, settings } from './client.js';

export { options } from './client.js';

const pause = Number(__ENV.PAUSE || 5) * 1000;

export default function () {
  for (const n of numbers()) {
    connect(`k6-pair-${Math.floor(n / 2)}`, settings.seconds * 1000, (client) => {
      const timer = setInterval(client.publish, pause);
      // The last message must arrive before the other leaves.
      setTimeout(() => clearInterval(timer), (settings.seconds - 1) * 1000);
    });
  }
}
