/** Keeps the requests of one image in the order of the calls while one of them is sent in several messages. */
export class SendOrder {
  /** Ends when every request so far has been sent; null when the next can be sent at once. */
  #last: Promise<void> | null = null;

  /** Sends a request of one message: at once, unless requests before it have still to be sent. */
  run<T>(send: () => Promise<T>): Promise<T> {
    if (this.#last === null) return send();
    let answer: Promise<T> | null = null;
    const sent = this.#last.then(() => {
      answer = send();
      answer.catch(() => {});
    });
    this.#hold(sent);
    return sent.then(() => answer!);
  }

  /** Sends a request of several messages; later requests wait until `work` has ended. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    const running = this.#last === null ? work() : this.#last.then(work);
    const settle = (): void => {};
    this.#hold(running.then(settle, settle));
    return running;
  }

  /** Resolves when every request so far has been sent. */
  async settled(): Promise<void> {
    if (this.#last !== null) await this.#last;
  }

  #hold(sent: Promise<void>): void {
    this.#last = sent;
    sent.then(() => {
      if (this.#last === sent) this.#last = null;
    });
  }
}

/** How many messages of one request are under way at once: one crosses while another is worked on. */
const WINDOW = 2;

/**
 * Sends messages in order, no more than two ahead of their answers, and stops at the first that fails.
 *
 * @throws what the first that failed threw, once those under way have ended; at once when `prompt` is set.
 */
export async function sendAll(messages: Iterable<() => Promise<void>>, prompt: boolean): Promise<void> {
  const running: Promise<void>[] = [];
  try {
    for (const send of messages) {
      const sent = send();
      sent.catch(() => {});
      running.push(sent);
      if (running.length === WINDOW) await running.shift();
    }
    await Promise.all(running);
  } catch (error) {
    if (!prompt) await Promise.allSettled(running);
    throw error;
  }
}
