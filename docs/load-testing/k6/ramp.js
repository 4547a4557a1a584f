// Clients come one after the other in the first half of the time, and all listen to one channel. The first
// publishes to it RATE times a second, so that latency can be seen beside the number of clients.
import { connect, numbers, settings } from './client.js';

export { options } from './client.js';

const rate = Number(__ENV.RATE || 5);

export default function () {
  const all = settings.seconds * 1000;
  for (const n of numbers()) {
    const late = ((n / settings.clients) * all) / 2;
    setTimeout(() => {
      connect('k6-ramp', all - late, (client) => {
        if (n > 0) return;
        const timer = setInterval(client.publish, 1000 / rate);
        // The last message must arrive before the clients leave.
        setTimeout(() => clearInterval(timer), all - 1000);
      });
    }, late);
  }
}
