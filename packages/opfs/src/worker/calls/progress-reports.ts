/** Owns the reports of progress that one call sends to the page. */
import type { Progress } from 'qcow2';

/** Sends reports, and knows when the page has them all. */
export class ProgressReports {
  readonly #send: ((progress: Progress) => Promise<boolean>) | null;
  #last: Promise<boolean> = Promise.resolve(true);

  /**
   * @param send delivers a report, and says whether the callback took it: not when it threw, now or earlier. Null
   *   when the caller asked for no reports
   */
  constructor(send: ((progress: Progress) => Promise<boolean>) | null) {
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

  /**
   * Resolves when the last report has been delivered. Whatever makes a result final waits for this first: a call either
   * keeps its result, or rejects with what the callback threw and leaves nothing. An answer on its own way may
   * otherwise overtake a report, too.
   *
   * @throws `AbortError` when the callback threw: the page has the error itself
   */
  readonly delivered = async (): Promise<void> => {
    if (!(await this.#last)) throw new DOMException('The progress callback threw.', 'AbortError');
  };
}
