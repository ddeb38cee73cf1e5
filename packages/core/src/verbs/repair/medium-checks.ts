/** Checks the medium under repair, which takes longer than all else: not again while nothing was written. */
import type { OperationOptions, Progress } from '../../api/options.js';
import { type Checked, checkSource } from '../check/check.js';
import type { Medium } from './medium.js';

/** The checks of one repair. The first is reported as the phase `check`, all others as `verify`. */
export class MediumChecks {
  readonly #medium: Medium;
  readonly #options: OperationOptions;
  #last: { readonly checked: Checked; readonly writes: number } | null = null;
  /** The last report of the progress. */
  #progress: Progress | null = null;
  #phase: 'check' | 'verify' = 'check';

  constructor(medium: Medium, { signal, onProgress }: OperationOptions) {
    this.#medium = medium;
    this.#options = { signal, onProgress: onProgress && ((progress) => this.#report(progress, onProgress)) };
  }

  /**
   * The medium as it is now.
   *
   * @throws as {@link checkSource} does.
   */
  async now(): Promise<Checked> {
    const { writes } = this.#medium;
    if (this.#last?.writes === writes) return this.#last.checked;
    // Its counts would take memory during the next check.
    this.#last = null;
    const checked = await checkSource(this.#medium, this.#options);
    this.#phase = 'verify';
    this.#last = { checked, writes };
    return checked;
  }

  /**
   * As {@link now}, at the end of a repair.
   *
   * @throws as {@link now} does.
   */
  async atEnd(): Promise<Checked> {
    const checked = await this.now();
    const { onProgress } = this.#options;
    // Nothing had to be written: the first check is the last one.
    if (this.#progress?.phase === 'check') onProgress?.({ ...this.#progress });
    return checked;
  }

  /** Progress never goes back, though a repair may check several times. */
  #report({ done, total }: Progress, onProgress: (progress: Progress) => void): void {
    const phase = this.#phase;
    if (this.#progress?.phase === phase && done <= this.#progress.done) return;
    this.#progress = { phase, done, total: Math.max(total, this.#progress?.total ?? 0) };
    onProgress(this.#progress);
  }
}
