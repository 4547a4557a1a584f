// Everybody listens to one channel, the first client publishes to it RATE times a second.
import { connect, numbers, settings } from './client.js';

export { options } from './client.js';

const rate = Number(__ENV.RATE || 5);

export default function () {
  for (const n of numbers()) {
    connect('k6-fanout', settings.seconds * 1000, (client) => {
      if (n > 0) return;
      const timer = setInterval(client.publish, 1000 / rate);
      // The last message must arrive before the clients leave.
      setTimeout(() => clearInterval(timer), (settings.seconds - 1) * 1000);
    });
  }
}
