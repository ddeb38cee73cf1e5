/** Runs the check of the open image, and tracks its progress and result. */
import { type Signal, signal } from '@preact/signals';
import type { CheckReport } from 'qcow2';
import type { WorkerImage } from 'qcow2-opfs';
import { checkWorker } from '../engine/engine.js';
import { Pace } from '../engine/pace.js';
import { describe, type Problem } from '../engine/problem.js';

/** The state of a check; `done` and `total` are bytes of tables. */
export type CheckState =
  | { readonly step: 'idle' }
  | { readonly step: 'running'; readonly done: number; readonly total: number }
  | { readonly step: 'finished'; readonly report: CheckReport }
  | { readonly step: 'cancelled' }
  | { readonly step: 'refused'; readonly problem: Problem };

/** The check of one image. It can be run again when it has ended. */
export class ImageCheck {
  /** The current state. */
  readonly state: Signal<CheckState> = signal<CheckState>({ step: 'idle' });
  /** The speed of the running check. */
  pace: Pace = new Pace(0);
  readonly #image: WorkerImage;
  readonly #name: string;
  #abort: AbortController | null = null;

  /** Bytes. */
  get clusterSize(): number {
    return this.#image.info.clusterSize;
  }

  /** `name` is the image's name on the page. */
  constructor(image: WorkerImage, name: string) {
    this.#image = image;
    this.#name = name;
  }

  /** Runs the check. Resolves when it has ended for any reason. */
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
      checkWorker(error);
      this.state.value = { step: 'refused', problem: describe(error, this.#name) };
    }
  }

  /** Stops it. */
  cancel(): void {
    this.#abort?.abort();
  }
}
