/** Owns the reports of progress that one call sends to the page. */
import type { Progress } from 'qcow2';

/** Sends reports, and knows when the page has them all. */
export class ProgressReports {
  readonly #send: ((progress: Progress) => Promise<void>) | null;
  #last: Promise<void> = Promise.resolve();

  /** @param send null when the caller asked for no reports */
  constructor(send: ((progress: Progress) => Promise<void>) | null) {
    this.#send = send;
  }

  /** The callback for the engine; undefined when nobody listens. */
  get onProgress(): ((progress: Progress) => void) | undefined {
    const send = this.#send;
    if (!send) return undefined;
    return (progress) => {
      this.#last = send(progress);
    };
  }

  /** Resolves when the last report has been delivered: an answer on its own way may otherwise overtake it. */
  delivered(): Promise<void> {
    return this.#last;
  }
}
