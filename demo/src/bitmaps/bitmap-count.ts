/** Counts the marked bytes of the open image's bitmaps, one after the other, on request. */
import { type Signal, signal } from '@preact/signals';
import type { BitmapInfo } from 'qcow2';
import type { WorkerImage } from 'qcow2-opfs';
import { checkWorker } from '../engine/engine.js';
import { describe, type Problem } from '../engine/problem.js';

/** The state of the counting. */
export type CountState =
  | { readonly step: 'idle' | 'running' | 'finished' }
  | { readonly step: 'refused'; readonly problem: Problem };

/** False for a bitmap that was in use and not saved: its marks are not reliable. */
export function isTrusted({ flags }: BitmapInfo): boolean {
  return !flags.includes('in-use');
}

/** The properties of a bitmap, in words. */
export function bitmapWords(bitmap: BitmapInfo): string {
  if (!isTrusted(bitmap)) return 'In use: not saved when the image was last written, not to be trusted';
  return bitmap.flags.includes('auto') ? 'Recording what is written' : 'Not recording';
}

/** The counting for one image. */
export class BitmapCount {
  /** The current state. */
  readonly state: Signal<CountState> = signal<CountState>({ step: 'idle' });
  /** Bytes that each bitmap marks, for those counted so far. */
  readonly marked: Signal<ReadonlyMap<BitmapInfo, number>> = signal<ReadonlyMap<BitmapInfo, number>>(new Map());
  readonly #image: WorkerImage;
  readonly #imageName: string;
  #abort: AbortController | null = null;

  /** `imageName` is the name of the image's file. */
  constructor(image: WorkerImage, imageName: string) {
    this.#image = image;
    this.#imageName = imageName;
  }

  /** Counts the bitmaps not counted yet, unless it is running. Resolves when it has ended for any reason. */
  async run(): Promise<void> {
    if (this.state.value.step === 'running') return;
    const abort = new AbortController();
    this.#abort = abort;
    this.state.value = { step: 'running' };
    try {
      for (const bitmap of this.#image.bitmaps) {
        if (!isTrusted(bitmap) || this.marked.value.has(bitmap)) continue;
        const bytes = await this.#count(bitmap, abort.signal);
        this.marked.value = new Map([...this.marked.value, [bitmap, bytes]]);
      }
      this.state.value = { step: 'finished' };
    } catch (error) {
      if (abort.signal.aborted) {
        this.state.value = { step: 'idle' };
        return;
      }
      checkWorker(error);
      this.state.value = { step: 'refused', problem: describe(error, this.#imageName) };
    }
  }

  /** Stops it. */
  cancel(): void {
    this.#abort?.abort();
  }

  async #count({ name }: BitmapInfo, signal: AbortSignal): Promise<number> {
    let bytes = 0;
    for await (const range of this.#image.dirtyRanges(name, { signal })) bytes += range.length;
    return bytes;
  }
}
