/** Owns the check of the open image: its progress, how it ended, and another run. */
import { type Signal, signal } from '@preact/signals';
import type { CheckReport } from 'qcow2';
import type { WorkerImage } from 'qcow2-opfs';
import { noticeError } from '../engine/engine.js';
import { Pace } from '../engine/pace.js';
import { describe, type Problem } from '../engine/problem.js';

/** What a check is doing; `done` and `total` are bytes of tables. */
export type CheckState =
  | { readonly step: 'idle' }
  | { readonly step: 'running'; readonly done: number; readonly total: number }
  | { readonly step: 'finished'; readonly report: CheckReport }
  | { readonly step: 'cancelled' }
  | { readonly step: 'refused'; readonly problem: Problem };

/** The check of one image; it can be run again when it has ended. */
export class ImageCheck {
  /** What it is doing. */
  readonly state: Signal<CheckState> = signal<CheckState>({ step: 'idle' });
  /** How fast the running one goes. */
  pace: Pace = new Pace(0);
  readonly #image: WorkerImage;
  readonly #name: string;
  #abort: AbortController | null = null;

  /** Of an image, which the page calls by that name. */
  constructor(image: WorkerImage, name: string) {
    this.#image = image;
    this.#name = name;
  }

  /** Runs it. Returns when it has ended, in whatever way. */
  async run(): Promise<void> {
    if (this.state.value.step === 'running') return;
    const abort = new AbortController();
    this.#abort = abort;
    this.pace = new Pace(performance.now());
    this.state.value = { step: 'running', done: 0, total: 0 };
    try {
      const report = await this.#image.check({
        signal: abort.signal,
        onProgress: ({ done, total }) => {
          this.pace.update(done, performance.now());
          this.state.value = { step: 'running', done, total };
        },
      });
      this.state.value = { step: 'finished', report };
    } catch (error) {
      if (abort.signal.aborted) {
        this.state.value = { step: 'cancelled' };
        return;
      }
      noticeError(error);
      this.state.value = { step: 'refused', problem: describe(error, this.#name) };
    }
  }

  /** Stops it. */
  cancel(): void {
    this.#abort?.abort();
  }
}
