/**
 * A source that reads a Blob or File. A slice costs about a millisecond whatever its size up to 64 KiB, and slices are
 * read in parallel. So small reads fetch and cache aligned blocks, with read-ahead while they are sequential, short
 * reads that lie apart are read together, and large reads become parallel slices.
 */

import type { ByteSource, Done, Transfer } from '../api/device.js';
import { isSize, refuse } from '../arguments.js';
import { all, settled } from '../engine/async/done.js';
import { Lru } from '../engine/async/lru.js';
import { type FixedTransfer, fixedTransfers, put, requireAllIntact } from '../engine/async/request-buffers.js';
import { Qcow2Error } from '../errors.js';

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
/** Maximum slice, bytes: beyond it time grows with size, so parallel slices are faster. */
const MAX_SLICE = 4 * 1024 * 1024;
/** Maximum concurrent slices. */
const MAX_PARALLEL = 16;
/** Maximum bytes of short reads that lie apart and are made one. */
const TOGETHER = 512 * 1024;

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

/** Adjacent transfers, in file order, each cut at the end of the file. */
interface JoinedTransfer {
  readonly at: number;
  length: number;
  readonly parts: FixedTransfer[];
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
  /** True once ranges could not be read as one Blob: the file has changed, or `blob` is none of the platform's. */
  #readsApart = false;
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
    const short: JoinedTransfer[] = [];
    for (const joined of transfers) {
      if (this.#usesBlocks(joined)) reads.push(this.#readThroughBlocks(joined));
      else if (joined.length <= TOGETHER / 2) short.push(joined);
      else reads.push(this.#readDirectly(joined, signal));
    }
    for (const group of inGroups(short)) reads.push(this.#readTogether(group, signal));
    return reads;
  }

  #usesBlocks({ at, length }: JoinedTransfer): boolean {
    const sequential = at === this.#lastEnd;
    this.#lastEnd = at + length;
    // Opening reads the first block, so it is cached; small images are contained in it.
    const isFirst = at + length <= BLOCK;
    return length < DIRECT_READ || isFirst || (sequential && length < LARGE_READ);
  }

  /** Reads short ranges as one Blob. If that fails, reads each by itself: those that can be read are filled. */
  async #readTogether(transfers: readonly JoinedTransfer[], signal: AbortSignal | undefined): Promise<void> {
    if (transfers.length > 1 && !this.#readsApart) {
      try {
        await this.#limited(async () => {
          signal?.throwIfAborted();
          const slice = await import('./blob-slice.js');
          await slice.readSlices(this.#blob, transfers, (joined, bytes) => this.#scatter(joined, 0, bytes));
        });
        return;
      } catch {
        signal?.throwIfAborted();
        this.#readsApart = true;
      }
    }
    await all(transfers.map((joined) => () => this.#readDirectly(joined, signal)));
  }

  async #readDirectly(joined: JoinedTransfer, signal: AbortSignal | undefined): Promise<void> {
    const { at, length } = joined;
    const slices: (() => Done)[] = [];
    for (let from = 0; from < length; from += MAX_SLICE) {
      const to = Math.min(length, from + MAX_SLICE);
      slices.push(async () => {
        signal?.throwIfAborted();
        await this.#slice(at + from, at + to, (step, bytes) => this.#scatter(joined, from + step, bytes));
      });
    }
    await all(slices);
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

  /** Reads bytes in chunks, without caching. Its module is loaded with the first large read. */
  #slice(start: number, end: number, deliver: (from: number, bytes: Uint8Array) => void): Promise<void> {
    return this.#guarded(start, end, async () => {
      const slice = await import('./blob-slice.js');
      return slice.readSlice(this.#blob, start, end, deliver);
    });
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

/** Groups of neighbours, each of at most {@link TOGETHER} bytes. */
function inGroups(transfers: readonly JoinedTransfer[]): JoinedTransfer[][] {
  const groups: JoinedTransfer[][] = [];
  let length = Number.POSITIVE_INFINITY;
  for (const joined of transfers) {
    if (length + joined.length <= TOGETHER) groups.at(-1)!.push(joined);
    else {
      groups.push([joined]);
      length = 0;
    }
    length += joined.length;
  }
  return groups;
}

/** Joins adjacent transfers. Cuts them at the end of the file and fills the bytes past it with zeros. */
function joinAdjacent(transfers: readonly FixedTransfer[], size: number): JoinedTransfer[] {
  const sorted = [...transfers].sort((a, b) => a.at - b.at);
  const found: JoinedTransfer[] = [];
  for (const { at, bytes, length: whole } of sorted) {
    const length = Math.max(0, Math.min(whole, size - at));
    bytes.fill(0, length);
    if (length === 0) continue;
    const part = { at, bytes, length };
    const last = found.at(-1);
    if (last !== undefined && last.at + last.length === at) {
      last.parts.push(part);
      last.length += length;
    } else {
      found.push({ at, length, parts: [part] });
    }
  }
  return found;
}

/** The errors, which a reader of files that do not change never loads. */
function failures() {
  return import('./blob-failure.js');
}
