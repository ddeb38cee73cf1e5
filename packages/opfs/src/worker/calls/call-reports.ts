/** Sends the reports of one call to the page: its progress, and the ranges that are lost. */
import type { LostRange, Progress, SalvageOptions } from 'qcow2';

/** The most lost ranges of one message: a damaged image can have millions. */
const RANGES_PER_MESSAGE = 256;

/**
 * Delivers reports. Each function returns whether to go on: false once a callback has thrown. Absent if the caller
 * passed no such callback.
 */
export interface ReportSenders {
  readonly progress?: ((progress: Progress) => Promise<boolean>) | undefined;
  readonly lost?: ((lost: readonly LostRange[]) => Promise<boolean>) | undefined;
}

/** Sends reports and tracks their delivery. */
export class CallReports {
  readonly #senders: ReportSenders;
  #lost: LostRange[] = [];
  #last: Promise<boolean> = Promise.resolve(true);

  constructor(senders: ReportSenders) {
    this.#senders = senders;
  }

  /** The callback for the engine; undefined if the caller passed none. */
  get onProgress(): SalvageOptions['onProgress'] {
    const { progress: send } = this.#senders;
    if (!send) return undefined;
    return (progress) => {
      this.#last = send(progress);
    };
  }

  /** As {@link onProgress}, for lost ranges, which are sent many at once. */
  get onLost(): SalvageOptions['onLost'] {
    if (!this.#senders.lost) return undefined;
    return (lost) => {
      this.#lost.push(lost);
      if (this.#lost.length === RANGES_PER_MESSAGE) this.#sendLost();
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
    if (this.#lost.length > 0) this.#sendLost();
    if (!(await this.#last)) throw new DOMException('A callback of the call threw.', 'AbortError');
  };

  #sendLost(): void {
    this.#last = this.#senders.lost!(this.#lost);
    this.#lost = [];
  }
}
