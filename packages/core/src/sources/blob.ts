/**
 * A source that reads a Blob or File. A slice costs about a millisecond whatever its size up to 64 KiB, and slices are
 * read in parallel. So small reads fetch and cache aligned blocks, with read-ahead while they are sequential, short
 * reads that lie apart are read together, and large reads become parallel slices.
 */

import type { ByteSource, Done, Transfer } from '../api/device.js';
import { isSize, refuse } from '../arguments.js';
import { all, settled } from '../engine/async/done.js';
import { Lru } from '../engine/async/lru.js';
import { fixedTransfers, put, requireAllIntact } from '../engine/async/request-buffers.js';
import { Qcow2Error } from '../errors.js';
import type { DirectReads } from './blob-direct.js';
import { type JoinedTransfer, joinAdjacent } from './joined-transfers.js';

/** Unit of small reads and of the cache, bytes: costs as much as the smallest slice. */
const BLOCK = 64 * 1024;
/** Maximum blocks per fetch during sequential reads: 1 MiB. */
const READ_AHEAD = 16;
/** Maximum cached blocks: 16 MiB. */
const MAX_BLOCKS = 256;
/** From this size on a read bypasses the cache, unless it is sequential. Bytes. */
const DIRECT_READ = 64 * 1024;
/** Below this size a sequential read uses the cache, which contains the read-ahead. Bytes. */
const LARGE_READ = 1024 * 1024;
/** Maximum concurrent slices. */
const MAX_PARALLEL = 16;

/**
 * Creates a source that reads `blob` in place: only requested bytes are copied.
 *
 * @throws TypeError when it is no Blob
 *
 * @example
 * ```ts
 * import { blobSource, Qcow2Image, withCache } from 'qcow2';
 *
 * // A Blob can be opened directly. As a source it can be decorated.
 * const image = await Qcow2Image.open(withCache(blobSource(file)));
 * ```
 */
export function blobSource(blob: Blob): ByteSource {
  if (!isBlob(blob)) refuse('blob', 'a Blob', blob);
  return new BlobSource(blob);
}

/** True if a value is a Blob. Tests methods: one of another realm is not an instance of this realm's class. */
export function isBlob(value: unknown): value is Blob {
  const blob = value as Partial<Blob> | null;
  return (
    typeof blob === 'object' &&
    blob !== null &&
    typeof blob.slice === 'function' &&
    typeof blob.arrayBuffer === 'function' &&
    isSize(blob.size)
  );
}

class BlobSource implements ByteSource {
  readonly size: number;
  readonly #blob: Blob;
  /** By block number. Includes blocks in flight, so that each is fetched once. */
  readonly #blocks = new Lru<number, Promise<Uint8Array>>(MAX_BLOCKS);
  /** The block after the last fetch, and the number of blocks of that fetch. */
  #fetchEnd = -1;
  #fetched = 0;
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #lastEnd = -1;
  #direct: DirectReads | null = null;
  readonly #closing = new AbortController();

  readonly identity: Blob;

  constructor(blob: Blob) {
    this.identity = blob;
    this.#blob = blob;
    this.size = blob.size;
  }

  async read(transfers: readonly Transfer[], signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const { signal: closing } = this.#closing;
    closing.throwIfAborted();
    const batch = fixedTransfers(transfers);
    const reads = this.#readAll(joinAdjacent(batch, this.size), signal);
    // A slice may never resolve. Bytes that arrive after closing are not copied.
    const results = Promise.allSettled(reads);
    await settled(results, closing);
    signal?.throwIfAborted();
    requireAllIntact(batch);
    const failure = (await results).find((result) => result.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
  }

  close(): void {
    this.#closing.abort(new Qcow2Error('closed', 'The source of this file was closed.'));
    this.#blocks.clear();
  }

  #readAll(transfers: readonly JoinedTransfer[], signal: AbortSignal | undefined): Promise<void>[] {
    const reads: Promise<void>[] = [];
    const direct: JoinedTransfer[] = [];
    for (const joined of transfers) {
      if (this.#usesBlocks(joined)) reads.push(this.#readThroughBlocks(joined));
      else direct.push(joined);
    }
    if (direct.length > 0) reads.push(this.#readDirectly(direct, signal));
    return reads;
  }

  /** Reads without caching. Its module is loaded with the first such read. */
  async #readDirectly(transfers: readonly JoinedTransfer[], signal: AbortSignal | undefined): Promise<void> {
    const module = await import('./blob-direct.js');
    this.#direct ??= new module.DirectReads({
      blob: this.#blob,
      limited: (read) => this.#limited(read),
      guarded: (start, end, read) => this.#guarded(start, end, read),
      scatter: (joined, from, bytes) => this.#scatter(joined, from, bytes),
    });
    await this.#direct.read(transfers, signal);
  }

  #usesBlocks({ at, length }: JoinedTransfer): boolean {
    const sequential = at === this.#lastEnd;
    this.#lastEnd = at + length;
    // Opening reads the first block, so it is cached; small images are contained in it.
    const isFirst = at + length <= BLOCK;
    return length < DIRECT_READ || isFirst || (sequential && length < LARGE_READ);
  }

  async #readThroughBlocks(joined: JoinedTransfer): Promise<void> {
    const { at, length } = joined;
    const first = Math.floor(at / BLOCK);
    const last = Math.floor((at + length - 1) / BLOCK);
    const blocks: (() => Done)[] = [];
    for (let number = first; number <= last; number++) {
      blocks.push(async () => {
        const block = await this.#block(number);
        const start = number * BLOCK;
        const from = Math.max(at, start);
        const to = Math.min(at + length, start + block.length);
        this.#scatter(joined, from - at, block.subarray(from - start, to - start));
      });
    }
    await all(blocks);
  }

  #block(number: number): Promise<Uint8Array> {
    if (!this.#blocks.has(number)) this.#fetch(number);
    return this.#blocks.get(number)!;
  }

  /** Fetches a block. If the last fetch ended here, fetches twice as many blocks as it did. */
  #fetch(first: number): void {
    const wanted = first === this.#fetchEnd ? Math.min(READ_AHEAD, this.#fetched * 2) : 1;
    const remaining = Math.ceil(this.size / BLOCK) - first;
    let count = 1;
    while (count < Math.min(wanted, remaining) && !this.#blocks.has(first + count)) count++;
    this.#fetchEnd = first + count;
    this.#fetched = count;
    const start = first * BLOCK;
    const slice = this.#bytes(start, Math.min(this.size, start + count * BLOCK));
    for (let step = 0; step < count; step++) {
      const block = slice.then((bytes) => bytes.subarray(step * BLOCK, (step + 1) * BLOCK));
      // A failed block is not cached; the next request reads it again.
      block.catch(() => this.#blocks.delete(first + step));
      this.#blocks.set(first + step, block);
    }
  }

  /** Reads bytes for the cache. */
  async #bytes(start: number, end: number): Promise<Uint8Array> {
    let bytes = new Uint8Array(0);
    await this.#guarded(start, end, async () => {
      bytes = new Uint8Array(await this.#blob.slice(start, end).arrayBuffer());
      return bytes.length;
    });
    return bytes;
  }

  /** Copies `bytes`, which begin at `from` in the joined transfer, to its parts. */
  #scatter({ parts }: JoinedTransfer, from: number, bytes: Uint8Array): void {
    if (this.#closing.signal.aborted) return;
    let partStart = 0;
    for (const { bytes: into, length } of parts) {
      const start = Math.max(from, partStart);
      const end = Math.min(from + bytes.length, partStart + length);
      if (start < end) put(into, start - partStart, bytes.subarray(start - from, end - from));
      partStart += length;
    }
  }

  /** Reads within the limit, and converts errors to {@link Qcow2Error}. */
  async #guarded(start: number, end: number, read: () => Promise<number>): Promise<void> {
    try {
      if ((await this.#limited(read)) === end - start) return;
    } catch (error) {
      throw (await failures()).blobFailure(error, start);
    }
    throw (await failures()).changedBlob(start);
  }

  /** Limits concurrent reads to {@link MAX_PARALLEL}. */
  async #limited<T>(read: () => Promise<T>): Promise<T> {
    while (this.#running >= MAX_PARALLEL) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running++;
    try {
      return await read();
    } finally {
      this.#running--;
      this.#waiting.shift()?.();
    }
  }
}

/** The errors, which a reader of files that do not change never loads. */
function failures() {
  return import('./blob-failure.js');
}
