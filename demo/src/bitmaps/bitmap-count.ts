/** Owns the counting of what the open image's bitmaps mark, one after the other, when a person asks for it. */
import { type Signal, signal } from '@preact/signals';
import type { BitmapInfo } from 'qcow2';
import type { WorkerImage } from 'qcow2-opfs';
import { noticeError } from '../engine/engine.js';
import { describe, type Problem } from '../engine/problem.js';

/** What the counting is doing. */
export type CountState =
  | { readonly step: 'idle' | 'running' | 'finished' }
  | { readonly step: 'refused'; readonly problem: Problem };

/** Whether what a bitmap marks can be trusted: one that was in use was not saved. */
export function isTrusted({ flags }: BitmapInfo): boolean {
  return !flags.includes('in-use');
}

/** What is known of a bitmap, in words. */
export function bitmapWords(bitmap: BitmapInfo): string {
  if (!isTrusted(bitmap)) return 'In use: not saved when the image was last written, not to be trusted';
  return bitmap.flags.includes('auto') ? 'Recording what is written' : 'Not recording';
}

/** The counting for one image. */
export class BitmapCount {
  /** What it is doing. */
  readonly state: Signal<CountState> = signal<CountState>({ step: 'idle' });
  /** Bytes that each bitmap marks, as far as they are counted. */
  readonly marked: Signal<ReadonlyMap<BitmapInfo, number>> = signal<ReadonlyMap<BitmapInfo, number>>(new Map());
  readonly #image: WorkerImage;
  readonly #imageName: string;
  #abort: AbortController | null = null;

  /** Of an open image from a file of that name. */
  constructor(image: WorkerImage, imageName: string) {
    this.#image = image;
    this.#imageName = imageName;
  }

  /** Counts what is not counted yet, unless it does so already. Returns when it has ended, in whatever way. */
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
      noticeError(error);
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
