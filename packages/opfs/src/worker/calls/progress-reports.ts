/** Sends the progress reports of one call to the page. */
import type { Progress } from 'qcow2';

/** Sends reports and tracks their delivery. */
export class ProgressReports {
  readonly #send: ((progress: Progress) => Promise<boolean>) | null;
  #last: Promise<boolean> = Promise.resolve(true);

  /**
   * @param send delivers a report and returns whether to go on: false once the callback has thrown. Null if the caller
   *   passed no callback
   */
  constructor(send: ((progress: Progress) => Promise<boolean>) | null) {
    this.#send = send;
  }

  /** The callback for the engine; undefined if the caller passed none. */
  get onProgress(): ((progress: Progress) => void) | undefined {
    const send = this.#send;
    if (!send) return undefined;
    return (progress) => {
      this.#last = send(progress);
    };
  }

  /**
   * Resolves when the last report has been delivered. Must be awaited before a result becomes final: a call either
   * keeps its result, or rejects with the callback's error and leaves no file. Without it the response may also
   * overtake a report.
   *
   * @throws `AbortError` when the callback threw: the page has the error itself
   */
  readonly delivered = async (): Promise<void> => {
    if (!(await this.#last)) throw new DOMException('The progress callback threw.', 'AbortError');
  };
}
