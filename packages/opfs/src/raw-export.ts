/** Owns the copy of an image's guest bytes into a file: large windows, several in flight, holes skipped. */
import type { Disk, Extent, OperationOptions, Progress } from 'qcow2';
import type { RawSink } from './raw-sink.js';

/** The span of guest bytes that one read takes, at most: large beside the cost of a slice, small beside 64 MiB. Bytes. */
const WINDOW = 2 * 1024 * 1024;
/** Reads in flight; each has a buffer of WINDOW bytes. */
const DEPTH = 4;
/** Progress is reported no more often. Milliseconds. */
const REPORT_EVERY = 100;

/** A span of guest bytes that is read whole, and the parts of it that are written; the rest are holes. */
interface Window {
  readonly start: number;
  end: number;
  readonly parts: { start: number; end: number }[];
}

/**
 * Fills a sink with an image's bytes. On any failure the sink is abandoned before the error is thrown.
 *
 * @throws whatever the image or the sink throws; the signal's reason when it aborts
 */
export async function exportRaw(image: Disk, sink: RawSink, options: OperationOptions): Promise<void> {
  const copy = new Copy(image, sink, options);
  try {
    await copy.run();
    await sink.finish();
  } catch (error) {
    await sink.abandon();
    throw error;
  }
}

class Copy {
  readonly #image: Disk;
  readonly #sink: RawSink;
  readonly #signal: AbortSignal | undefined;
  readonly #onProgress: ((progress: Progress) => void) | undefined;
  readonly #busy = new Set<Promise<void>>();
  readonly #buffers: Uint8Array<ArrayBuffer>[] = [];
  #failure: { readonly error: unknown } | null = null;
  #done = 0;
  #reportAt = 0;

  constructor(image: Disk, sink: RawSink, options: OperationOptions) {
    this.#image = image;
    this.#sink = sink;
    this.#signal = options.signal;
    this.#onProgress = options.onProgress;
  }

  async run(): Promise<void> {
    const { size } = this.#image;
    try {
      let covered = 0;
      for await (const window of windowsOf(this.#image.map(undefined, { signal: this.#signal }))) {
        this.#advance(window.start - covered);
        covered = window.end;
        await this.#start(window);
        if (this.#failure) break;
      }
      if (!this.#failure) this.#advance(size - covered);
    } finally {
      // Nobody may still write when the caller lets go of the sink.
      await Promise.all(this.#busy);
    }
    if (this.#failure) throw this.#failure.error;
    this.#signal?.throwIfAborted();
    this.#report(size);
  }

  /** Starts a window as soon as fewer than DEPTH are in flight. */
  async #start(window: Window): Promise<void> {
    while (this.#busy.size >= DEPTH) await Promise.race(this.#busy);
    this.#signal?.throwIfAborted();
    const job = this.#copy(window)
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#busy.delete(job));
    this.#busy.add(job);
  }

  async #copy({ start, end, parts }: Window): Promise<void> {
    const buffer = this.#buffers.pop() ?? new Uint8Array(WINDOW);
    await this.#image.read(start, buffer.subarray(0, end - start), { signal: this.#signal });
    for (const part of parts) {
      if (this.#failure) return;
      await this.#sink.write(part.start, buffer.subarray(part.start - start, part.end - start));
    }
    this.#buffers.push(buffer);
    this.#advance(end - start);
  }

  /** Counts guest bytes that are dealt with, written or skipped. */
  #advance(bytes: number): void {
    this.#done += bytes;
    if (performance.now() >= this.#reportAt && this.#done < this.#image.size) this.#report(this.#done);
  }

  #report(done: number): void {
    this.#reportAt = performance.now() + REPORT_EVERY;
    this.#onProgress?.({ phase: 'export', done, total: this.#image.size });
  }
}

/** The windows that cover everything that is not known to read as zeros, in order. */
async function* windowsOf(extents: AsyncIterable<Extent>): AsyncGenerator<Window, void, undefined> {
  let window: Window | null = null;
  for await (const extent of extents) {
    if (extent.zero) continue;
    let { start } = extent;
    const end = start + extent.length;
    while (start < end) {
      if (window && start >= window.start + WINDOW) {
        yield window;
        window = null;
      }
      window ??= { start, end: start, parts: [] };
      const until = Math.min(end, window.start + WINDOW);
      const last = window.parts.at(-1);
      if (last && last.end === start) last.end = until;
      else window.parts.push({ start, end: until });
      window.end = until;
      start = until;
    }
  }
  if (window) yield window;
}
