// What the peers in JavaScript share: exchanges come in as lines of JSON and outcomes go out.
import { createInterface } from 'node:readline';

export async function answer(perform) {
  for await (const line of createInterface({ input: process.stdin })) {
    let outcome;
    try {
      outcome = await perform(JSON.parse(line));
    } catch (error) {
      outcome = { failure: String(error?.stack ?? error) };
    }
    process.stdout.write(JSON.stringify(outcome) + '\n');
  }
}

// How long one exchange may take.
export const patience = 20_000;
