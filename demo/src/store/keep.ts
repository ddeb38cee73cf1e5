/** Copies files into this browser's store: tracks progress and results, and retries. */
import { type Signal, signal } from '@preact/signals';
import { isQcow2Error } from 'qcow2';
import { whileBusy } from '../engine/busy.js';
import { withEngineOnce } from '../engine/engine.js';
import { Pace } from '../engine/pace.js';
import { describe, type Problem } from '../engine/problem.js';
import { storeChanged } from './store-contents.js';

/** The state of a copy. */
export type KeepState =
  | { readonly step: 'running'; readonly done: number; readonly total: number }
  | { readonly step: 'finished'; readonly seconds: number }
  | { readonly step: 'cancelled' }
  /** `byName`: the name is taken or not allowed, so that another one may help. */
  | { readonly step: 'refused'; readonly problem: Problem; readonly byName: boolean };

function isAboutName(error: unknown): boolean {
  return error instanceof RangeError || isQcow2Error(error, 'exists');
}

/** A file that is copied into the store. */
export class Keep {
  /** The name of the resulting image. */
  readonly name: string;
  /** The file that is copied. */
  readonly file: File;
  /** The current state. */
  readonly state: Signal<KeepState>;
  /** The speed of the copy. */
  pace: Pace = new Pace(0);
  #abort = new AbortController();
  #running = false;

  /** Copies `file` to the name `name`. */
  constructor(file: File, name: string) {
    this.file = file;
    this.name = name;
    this.state = signal<KeepState>({ step: 'running', done: 0, total: file.size });
  }

  /** Starts or restarts the copy, unless it is running. Returns whether this run has stored the image. */
  async run(): Promise<boolean> {
    if (this.#running) return false;
    this.#running = true;
    const abort = new AbortController();
    this.#abort = abort;
    const startedAt = performance.now();
    this.pace = new Pace(startedAt);
    const report = (done: number): void => {
      this.pace.update(done, performance.now());
      this.state.value = { step: 'running', done, total: this.file.size };
    };
    this.state.value = { step: 'running', done: 0, total: this.file.size };
    const options = { signal: abort.signal, onProgress: ({ done }: { done: number }) => report(done) };
    try {
      await whileBusy(withEngineOnce((store) => store.import(this.name, this.file, options)));
      this.#running = false;
      this.state.value = { step: 'finished', seconds: (performance.now() - startedAt) / 1000 };
    } catch (error) {
      this.#running = false;
      this.state.value = abort.signal.aborted
        ? { step: 'cancelled' }
        : { step: 'refused', problem: describe(error, this.name), byName: isAboutName(error) };
    }
    const kept = this.state.value.step === 'finished';
    await storeChanged();
    return kept;
  }

  /** Stops it. No partial image is left. */
  cancel(): void {
    this.#abort.abort();
  }
}

/** Running copies, and ended ones that are not dismissed yet; the oldest first. */
export const keeps: Signal<readonly Keep[]> = signal<readonly Keep[]>([]);

/** Copies files, each to a name. A retried name replaces its last try. Returns whether all are stored. */
export async function keepFiles(files: readonly (readonly [file: File, name: string])[]): Promise<boolean> {
  const added = files.map(([file, name]) => new Keep(file, name));
  const again = new Set(added.map(({ name }) => name));
  const others = keeps.value.filter((old) => old.state.value.step === 'running' || !again.has(old.name));
  keeps.value = [...others, ...added];
  const kept = await Promise.all(added.map((keep) => keep.run()));
  return kept.every(Boolean);
}

/** Copies the file of a refused copy to another name. */
export async function keepAs(refused: Keep, name: string): Promise<void> {
  dismissKeep(refused);
  await keepFiles([[refused.file, name]]);
}

/** Removes an ended copy from the page. */
export function dismissKeep(keep: Keep): void {
  keeps.value = keeps.value.filter((other) => other !== keep);
}
