/** Copies a disk's bytes into a file: large reads, several in flight, holes skipped. */
import type { Disk, Extent, OperationOptions, ReadOptions } from 'qcow2';
import { progressOf, yieldToEventLoop } from 'qcow2/internal';
import { availableBytes } from '../storage/storage-error.js';
import type { AbortableOptions } from '../store/file-copy.js';
import { openSink, type RawSink } from './raw-sink.js';

/** Most guest bytes of one read: large beside the cost of reading a slice, small beside 64 MiB. Bytes. */
const MAX_READ_BYTES = 2 * 1024 * 1024;
/** Reads in flight; each has a buffer of MAX_READ_BYTES. */
const MAX_PENDING = 4;

/** Options of an export. */
export type ExportOptions = OperationOptions & Pick<AbortableOptions, 'reported'>;

/** The part of a disk's interface that copying needs. */
export interface ExportedDisk extends Pick<Disk, 'size' | 'map'> {
  read(offset: number, into: Uint8Array, options?: ReadOptions): Promise<void>;
}

/** Guest bytes that are read in one go, and the parts of them that are written. The rest are holes. */
interface ExportRead {
  readonly start: number;
  end: number;
  readonly runs: { start: number; end: number }[];
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
  const copy = new RawCopy(disk, sink, options);
  try {
    await copy.run();
    await options.reported?.();
    await sink.finish();
  } catch (error) {
    await sink.abandon();
    throw error;
  }
}

class RawCopy {
  readonly #disk: ExportedDisk;
  readonly #sink: RawSink;
  readonly #signal: AbortSignal | undefined;
  readonly #report: (done: number) => void;
  /** A synchronous disk would otherwise never yield to incoming messages. */
  readonly #yieldIfDue: () => Promise<void> = yieldToEventLoop();
  readonly #pending = new Set<Promise<void>>();
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
      for await (const read of readsOf(this.#disk.map(undefined, { signal: this.#signal }))) {
        this.#advance(read.start - covered);
        covered = read.end;
        await this.#start(read);
        if (this.#failure) break;
      }
      if (!this.#failure) this.#advance(size - covered);
    } finally {
      // All writes must have ended before the caller releases the sink.
      await Promise.all(this.#pending);
    }
    if (this.#failure) throw this.#failure.error;
    this.#signal?.throwIfAborted();
    this.#report(size);
  }

  /** Starts a read as soon as fewer than MAX_PENDING are in flight. */
  async #start(read: ExportRead): Promise<void> {
    await this.#yieldIfDue();
    while (this.#pending.size >= MAX_PENDING) await Promise.race(this.#pending);
    this.#signal?.throwIfAborted();
    const job = this.#copy(read)
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#pending.delete(job));
    this.#pending.add(job);
  }

  async #copy({ start, end, runs }: ExportRead): Promise<void> {
    const buffer = this.#buffers.pop() ?? new Uint8Array(MAX_READ_BYTES);
    await this.#disk.read(start, buffer.subarray(0, end - start), { signal: this.#signal });
    for (const run of runs) {
      if (this.#failure) return;
      await this.#sink.write(run.start, buffer.subarray(run.start - start, run.end - start));
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

/** The reads that cover everything that can be read and is not known to read as zeros, in order. */
async function* readsOf(extents: AsyncIterable<Extent>): AsyncGenerator<ExportRead, void, undefined> {
  let read: ExportRead | null = null;
  for await (const extent of extents) {
    // A read across a range that cannot be read would fail.
    if (extent.unreadable && read) {
      yield read;
      read = null;
    }
    if (extent.zero || extent.unreadable) continue;
    let { start } = extent;
    const end = start + extent.length;
    while (start < end) {
      if (read && start >= read.start + MAX_READ_BYTES) {
        yield read;
        read = null;
      }
      read ??= { start, end: start, runs: [] };
      const until = Math.min(end, read.start + MAX_READ_BYTES);
      const last = read.runs.at(-1);
      if (last && last.end === start) last.end = until;
      else read.runs.push({ start, end: until });
      read.end = until;
      start = until;
    }
  }
  if (read) yield read;
}
