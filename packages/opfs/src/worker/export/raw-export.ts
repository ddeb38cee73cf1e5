/** Copies a disk's bytes into a file: large reads, several in flight, holes skipped. */
import type { Disk, Extent, OperationOptions, ReadOptions } from 'qcow2';
import { progressOf, yieldToEventLoop } from 'qcow2/internal';
import { availableBytes } from '../storage/storage-error.js';
import type { AbortableOptions } from '../store/file-copy.js';
import { openSink, type RawSink } from './raw-sink.js';

/** Most guest bytes of one read: large beside the cost of reading a slice, small beside 64 MiB. Bytes. */
const WINDOW = 2 * 1024 * 1024;
/** Reads in flight; each has a buffer of WINDOW bytes. */
const DEPTH = 4;

/** Options of an export. */
export type ExportOptions = OperationOptions & Pick<AbortableOptions, 'reported'>;

/** The part of a disk's interface that copying needs. */
export interface ExportedDisk extends Pick<Disk, 'size' | 'map'> {
  read(offset: number, into: Uint8Array, options?: ReadOptions): Promise<void>;
}

/** Guest bytes that are read in one go, and the parts of them that are written. The rest are holes. */
interface Window {
  readonly start: number;
  end: number;
  readonly parts: { start: number; end: number }[];
}

/**
 * Fills a file with a disk's bytes. A failure leaves no partial file.
 *
 * @throws {@link Qcow2Error} `no-space`, `locked`, `unavailable`; else as {@link exportRaw}
 */
export async function exportInto(to: FileSystemFileHandle, disk: ExportedDisk, options: ExportOptions): Promise<void> {
  await exportRaw(disk, await openSink(to, disk.size, await availableBytes()), options);
}

/**
 * Fills a sink with a disk's bytes. On any failure the sink is abandoned before the error is thrown.
 *
 * @throws whatever the disk or the sink throws; the signal's reason when it aborts
 */
export async function exportRaw(disk: ExportedDisk, sink: RawSink, options: ExportOptions): Promise<void> {
  const copy = new Copy(disk, sink, options);
  try {
    await copy.run();
    await options.reported?.();
    await sink.finish();
  } catch (error) {
    await sink.abandon();
    throw error;
  }
}

class Copy {
  readonly #disk: ExportedDisk;
  readonly #sink: RawSink;
  readonly #signal: AbortSignal | undefined;
  readonly #report: (done: number) => void;
  /** A synchronous disk would otherwise never yield to incoming messages. */
  readonly #turn: () => Promise<void> = yieldToEventLoop();
  readonly #busy = new Set<Promise<void>>();
  readonly #buffers: Uint8Array<ArrayBuffer>[] = [];
  #failure: { readonly error: unknown } | null = null;
  #done = 0;

  constructor(disk: ExportedDisk, sink: RawSink, options: OperationOptions) {
    this.#disk = disk;
    this.#sink = sink;
    this.#signal = options.signal;
    this.#report = progressOf(options, 'export', disk.size);
  }

  async run(): Promise<void> {
    const { size } = this.#disk;
    try {
      let covered = 0;
      for await (const window of windowsOf(this.#disk.map(undefined, { signal: this.#signal }))) {
        this.#advance(window.start - covered);
        covered = window.end;
        await this.#start(window);
        if (this.#failure) break;
      }
      if (!this.#failure) this.#advance(size - covered);
    } finally {
      // All writes must have ended before the caller releases the sink.
      await Promise.all(this.#busy);
    }
    if (this.#failure) throw this.#failure.error;
    this.#signal?.throwIfAborted();
    this.#report(size);
  }

  /** Starts a window as soon as fewer than DEPTH are in flight. */
  async #start(window: Window): Promise<void> {
    await this.#turn();
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
    await this.#disk.read(start, buffer.subarray(0, end - start), { signal: this.#signal });
    for (const part of parts) {
      if (this.#failure) return;
      await this.#sink.write(part.start, buffer.subarray(part.start - start, part.end - start));
    }
    this.#buffers.push(buffer);
    this.#advance(end - start);
  }

  /** Counts guest bytes that are written or skipped. */
  #advance(bytes: number): void {
    this.#done += bytes;
    this.#report(this.#done);
  }
}

/** The windows that cover everything that can be read and is not known to read as zeros, in order. */
async function* windowsOf(extents: AsyncIterable<Extent>): AsyncGenerator<Window, void, undefined> {
  let window: Window | null = null;
  for await (const extent of extents) {
    // A read across a range that cannot be read would fail.
    if (extent.unreadable && window) {
      yield window;
      window = null;
    }
    if (extent.zero || extent.unreadable) continue;
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
