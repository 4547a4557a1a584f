// Ways to wait for what a client reports, and for what nobody reports.
const patience = 25_000;

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Waits for what nobody reports.
export async function until(what, holds) {
  for (const deadline = Date.now() + patience; !holds(); await pause(20)) {
    if (Date.now() >= deadline) throw new Error(`not so within ${patience} ms: ${what}`);
  }
}

// The events of an emitter, in order, for tests that await the next one.
export class Inbox {
  #waiting = [];
  #received = [];
  constructor(emitter, event) {
    this.event = event;
    emitter.on(event, (...args) => {
      const next = this.#waiting.shift();
      if (next) next(args);
      else this.#received.push(args);
    });
  }
  async next() {
    const args = this.#received.length ? this.#received.shift() : await this.#wait();
    return args[0];
  }
  #wait() {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`no event "${this.event}" within ${patience} ms`)), patience);
      this.#waiting.push((args) => {
        clearTimeout(late);
        resolve(args);
      });
    });
  }
  async take(count) {
    const out = [];
    while (out.length < count) out.push(await this.next());
    return out;
  }
  get unread() {
    return this.#received.length;
  }
}
