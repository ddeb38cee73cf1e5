/**
 * A decorator that caches aligned blocks of a slow source. Concurrent requests share the load of a block, which
 * continues when one of them aborts. It does not join requests: use it over `withCoalescing`, which joins adjacent
 * blocks.
 */

import type { ByteSource, Done, Transfer } from '../api/device.js';
import { requireOptions, requireWhole } from '../arguments.js';
import { requirePowerOfTwo } from '../choices.js';
import { after, asPromise } from '../engine/async/done.js';
import { Lru } from '../engine/async/lru.js';
import {
  type FixedTransfer,
  fixedTransfers,
  put,
  requireAllIntact,
  requireBuffers,
} from '../engine/async/request-buffers.js';
import { SharedLoad } from '../engine/async/shared-load.js';
import { Qcow2Error } from '../errors.js';
import { requireSource } from './source.js';

/** Default block size: the default cluster size. */
const DEFAULT_BLOCK = 64 * 1024;
/** Block sizes are powers of two from 4 KiB to 4 MiB: their exponents. */
const MIN_BLOCK_BITS = 12;
const MAX_BLOCK_BITS = 22;
/** Default budget: 256 blocks of the default size. */
const DEFAULT_BUDGET = 16 * 1024 * 1024;
/** From this size on a batch bypasses the cache, bytes: it would evict everything else, and need the memory twice. */
const DIRECT_READ = 1024 * 1024;

/** Options of a cache. */
export interface CacheOptions {
  /** Unit of fetching and caching, bytes: a power of two from 4 KiB to 4 MiB; default 64 KiB. */
  blockSize?: number | undefined;
  /** Maximum cached bytes; default 16 MiB. At least one block is cached. */
  cacheBytes?: number | undefined;
}

/**
 * Creates a source that reads `source` through an LRU cache of blocks. Batches of 1 MiB and more, or of a quarter of
 * the budget, bypass the cache. `seed` are the first bytes of `source`, if known.
 *
 * @throws TypeError for a source that is none; RangeError for an invalid block size or budget
 *
 * @example
 * ```ts
 * import { Qcow2Image, withCache, withCoalescing } from 'qcow2';
 *
 * const image = await Qcow2Image.open(withCache(withCoalescing(source), { cacheBytes: 2 ** 24 }));
 * ```
 */
export function withCache(source: ByteSource, options: CacheOptions = {}, seed?: Uint8Array): ByteSource {
  requireSource(source);
  requireCache(options);
  const { blockSize = DEFAULT_BLOCK, cacheBytes = DEFAULT_BUDGET } = options;
  const cached = new CachedSource(source, blockSize, cacheBytes);
  if (seed !== undefined) cached.seed(seed);
  return cached;
}

/**
 * Checks the options of a cache.
 *
 * @throws TypeError for options that are not an object; RangeError for an invalid block size or budget
 */
export function requireCache(options: CacheOptions): void {
  requireOptions(options);
  const { blockSize = DEFAULT_BLOCK, cacheBytes = DEFAULT_BUDGET } = options;
  requirePowerOfTwo('blockSize', blockSize, MIN_BLOCK_BITS, MAX_BLOCK_BITS);
  requireWhole('cacheBytes', cacheBytes);
}

/** A load of several blocks. It fills `blocks`, by block number. */
interface BlockLoad {
  readonly blocks: ReadonlyMap<number, Uint8Array>;
  readonly load: SharedLoad;
}

class CachedSource implements ByteSource {
  readonly #source: ByteSource;
  readonly #blockSize: number;
  readonly #direct: number;
  /** By block number. */
  readonly #blocks: Lru<number, Uint8Array>;
  /** By the numbers of the blocks in flight. */
  readonly #loads = new Map<number, BlockLoad>();
  #open = true;

  constructor(source: ByteSource, blockSize: number, budget: number) {
    this.#source = source;
    this.#blockSize = blockSize;
    this.#blocks = new Lru(Math.floor(budget / blockSize));
    this.#direct = Math.min(DIRECT_READ, Math.max(budget / 4, blockSize));
  }

  get size(): number {
    return this.#source.size;
  }

  get identity(): object | string {
    return this.#source.identity ?? this.#source;
  }

  read(transfers: readonly Transfer[], signal?: AbortSignal): Done {
    signal?.throwIfAborted();
    if (!this.#open) throw new Qcow2Error('closed', 'The cached source was closed.');
    requireBuffers(transfers);
    const total = transfers.reduce((sum, { bytes }) => sum + bytes.length, 0);
    // An empty batch tests if reads have to wait. Cached blocks do not change the result.
    if (total >= this.#direct || transfers.length === 0) return this.#source.read(transfers, signal);
    const found = new Map<number, Uint8Array>();
    const loads = new Set<BlockLoad>();
    const missing: number[] = [];
    for (const number of this.#numbers(transfers)) {
      const cached = this.#blocks.get(number);
      const pending = this.#loads.get(number);
      if (cached !== undefined) found.set(number, cached);
      else if (pending !== undefined) loads.add(pending);
      else missing.push(number);
    }
    if (missing.length > 0) loads.add(this.#load(missing));
    const waits = [...loads].filter(({ load }) => !load.ended);
    if (waits.length > 0) return this.#finish(fixedTransfers(transfers), found, loads, signal);
    collect(loads, found);
    this.#copy(fixedTransfers(transfers), found);
  }

  close(): Done {
    this.#open = false;
    this.#blocks.clear();
    return this.#source.close?.();
  }

  /** Caches the first bytes of the source. A partial block is left out. */
  seed(bytes: Uint8Array): void {
    for (let number = 0; number * this.#blockSize < bytes.length; number++) {
      // Not `slice`: a Buffer's shares its memory.
      const block = new Uint8Array(bytes.subarray(number * this.#blockSize, (number + 1) * this.#blockSize));
      if (block.length === this.#lengthOf(number)) this.#blocks.set(number, block);
    }
  }

  async #finish(
    transfers: readonly FixedTransfer[],
    found: Map<number, Uint8Array>,
    loads: ReadonlySet<BlockLoad>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    await Promise.all([...loads].map(({ load }) => load.wait(signal)));
    collect(loads, found);
    this.#copy(transfers, found);
    requireAllIntact(transfers);
  }

  /**
   * Loads blocks in one batch. If the source is asynchronous, other requests may share the load.
   *
   * @throws the errors that the source throws synchronously; nothing is cached then
   */
  #load(numbers: readonly number[]): BlockLoad {
    const blocks = new Map(numbers.map((number) => [number, new Uint8Array(this.#lengthOf(number))]));
    const batch = [...blocks].map(([number, bytes]) => ({ at: number * this.#blockSize, bytes }));
    const removeLoads = () => {
      for (const number of numbers) if (this.#loads.get(number)?.blocks === blocks) this.#loads.delete(number);
    };
    const store = () => {
      if (this.#open) for (const [number, block] of blocks) this.#blocks.set(number, block);
    };
    const start = (signal: AbortSignal) => after(asPromise(this.#source.read(batch, signal)), store);
    const load = { blocks, load: new SharedLoad(start, removeLoads) };
    if (!load.load.ended) for (const number of numbers) this.#loads.set(number, load);
    return load;
  }

  #lengthOf(number: number): number {
    return Math.min(this.#blockSize, this.size - number * this.#blockSize);
  }

  /** Returns the numbers of the blocks that the transfers touch, unique and ascending. */
  #numbers(transfers: readonly Transfer[]): number[] {
    const numbers = new Set<number>();
    for (const { at, bytes } of transfers) {
      const end = Math.min(at + bytes.length, this.size);
      for (let number = Math.floor(at / this.#blockSize); number * this.#blockSize < end; number++) numbers.add(number);
    }
    return [...numbers].sort((a, b) => a - b);
  }

  #copy(transfers: readonly FixedTransfer[], blocks: ReadonlyMap<number, Uint8Array>): void {
    for (const { at, bytes, length: whole } of transfers) {
      const length = Math.max(0, Math.min(whole, this.size - at));
      // `fill` throws for a detached buffer.
      if (length < bytes.length) bytes.fill(0, length);
      for (let done = 0; done < length; ) {
        const number = Math.floor((at + done) / this.#blockSize);
        const from = at + done - number * this.#blockSize;
        const part = blocks.get(number)!.subarray(from, from + length - done);
        put(bytes, done, part);
        done += part.length;
      }
    }
  }
}

/** Adds the loaded blocks to those found in the cache. */
function collect(loads: Iterable<BlockLoad>, found: Map<number, Uint8Array>): void {
  for (const { blocks } of loads) for (const [number, block] of blocks) found.set(number, block);
}
