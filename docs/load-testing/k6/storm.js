// All clients leave and come back at once, CYCLES times; JITTER seconds spread their return at random.
import { channelOf, connect, numbers, settings } from './client.js';

export { options } from './client.js';

const cycles = Number(__ENV.CYCLES || 3);
const jitter = Number(__ENV.JITTER || 0) * 1000;

function come(channel, cycle) {
  const stay = (settings.seconds / cycles) * 1000;
  const again = () => {
    if (cycle < cycles) setTimeout(() => come(channel, cycle + 1), Math.random() * jitter);
  };
  connect(channel, stay, () => {}, again);
}

export default function () {
  for (const n of numbers()) come(channelOf(n), 1);
}
