// Clients come, subscribe to one of the channels each, and stay.
import { channelOf, connect, numbers, settings } from './client.js';

export { options } from './client.js';

export default function () {
  for (const n of numbers()) connect(channelOf(n), settings.seconds * 1000, () => {});
}
