/** Serializes the changes of an open image, and handles failed ones. */

import type { Done } from '../../api/device.js';
import type { SpaceStats } from '../../api/info.js';
import { Qcow2Error } from '../../errors.js';
import { type LinkedAbort, linkedAbort } from '../async/linked-abort.js';
import { requireIntact, whileIntact } from '../async/request-buffers.js';
import type { RwLock } from '../async/rw-lock.js';
import { Semaphore } from '../async/semaphore.js';
import { run, type Steps } from '../async/steps.js';
import { yieldWhenDue } from '../async/yield-to-event-loop.js';
import { isBase, type Qcow2Layer } from '../layer/layer.js';
import { notSynchronous } from '../layer/wait-tracker.js';
import { requireInside } from '../mapping/guest-range.js';
import { asynchronousFile } from '../read/synchronous.js';
import type { WatchedBacking } from '../read/watched-backing.js';
import type { Structure } from './structure.js';
import type { TrackedDevice } from './tracked-device.js';
import { markCorrupt, writeBack } from './write-back.js';
import type { WriteState } from './write-state.js';
import { type WriteBudgets, WriteSteps } from './write-steps.js';
import { type ZeroProgress, ZeroSteps } from './zero-steps.js';

/**
 * The writer of an open image. Requests run one at a time, in the order of the calls. Only zeroing and discarding
 * beyond one L2 table lets other requests in between, so a caller must wait for it before an overlapping request.
 */
export class Writer {
  readonly #layer: Qcow2Layer;
  readonly #state: WriteState;
  readonly #lock: RwLock;
  readonly #writes: WriteSteps;
  readonly #zeros: ZeroSteps;
  /** The backing chain; null when there is none to read. */
  readonly #bases: WatchedBacking | null;
  /** Pending requests that release the lock between their steps. */
  readonly #inParts = new Set<Promise<unknown>>();
  /** Aborts the long operations that closing the image ends: {@link atRest} and {@link restructure}. */
  readonly #endedByClose = new Set<LinkedAbort>();
  /** Verbs that change the structure of the image run one after the other. */
  readonly #restructuring = new Semaphore(1);
  /** Aborts the one that runs in the background. */
  #background: LinkedAbort | null = null;
  #closing = false;

  constructor(layer: Qcow2Layer, state: WriteState, lock: RwLock, budgets: WriteBudgets, bases: WatchedBacking | null) {
    this.#layer = layer;
    this.#state = state;
    this.#lock = lock;
    this.#bases = bases;
    this.#writes = new WriteSteps(layer, state, budgets, bases?.signal);
    this.#zeros = new ZeroSteps(layer, state, this.#writes);
  }

  /**
   * Why a change cannot be made synchronously: another request is running, or a file is asynchronous. That includes the
   * files that are only read, since copy-on-write reads them. Null when it can.
   *
   * @throws {@link Qcow2Error} what a probed device throws.
   */
  get waiting(): Qcow2Error | null {
    const { device, data } = this.#state;
    if (!this.#lock.idle) return notSynchronous(null);
    if (this.#makesWait(device)) return notSynchronous({ what: 'image', depth: 0 });
    if (data !== null && this.#makesWait(data)) return notSynchronous({ what: 'data file', depth: 1 });
    return asynchronousFile(this.#layer);
  }

  /** True if a device returns promises. A probe that it starts has the lock until it ends. */
  #makesWait(device: TrackedDevice): boolean {
    if (device.waited) return true;
    const probing = this.#lock.writing(() => device.probe());
    probing?.catch(() => {});
    return probing !== undefined;
  }

  /** Incremented whenever {@link current} changes. */
  get revision(): number {
    return this.#state.header.revision;
  }

  /** The image as it is on the medium now: its bitmaps are in use from the first change on. */
  get current(): Qcow2Layer {
    const { bitmaps } = this.#state;
    return { ...this.#layer, bitmaps: bitmaps?.onMedium ?? this.#layer.bitmaps };
  }

  /** What is known of the clusters of the image file without reading any of it. */
  get spaceStats(): SpaceStats {
    const { space, device } = this.#state;
    return space.stats(device.size);
  }

  /**
   * Throws if a write has failed before.
   *
   * @throws {@link Qcow2Error} `failed`.
   */
  requireSound(): void {
    this.#state.lifecycle.requireSound();
  }

  /** Writes guest bytes. They may be lost until the next flush, but the metadata on the medium stay consistent. */
  write(offset: number, bytes: Uint8Array): Done {
    const { length } = bytes;
    const done = this.#lock.writing(() => {
      requireIntact(bytes, length);
      // The disk may have shrunk during the wait.
      requireInside(offset, length, this.#layer.size);
      const host = this.#state.lifecycle.failed ? null : this.#writes.directWriteOffset(offset, length);
      if (host !== null) {
        // The view may have grown with its buffer during the wait.
        const own = bytes.length === length ? bytes : bytes.subarray(0, length);
        return this.#state.device.write([{ at: host, bytes: own }]);
      }
      return run(this.#guarded(() => this.#writes.write(offset, bytes, length)));
    });
    return whileIntact(done, bytes, length);
  }

  /** Turns guest bytes into zeros; `unmap` frees their clusters. */
  zero(offset: number, length: number, unmap: boolean): Done {
    const done = run(this.#zero(offset, offset + length, unmap));
    if (done === undefined) return;
    this.#inParts.add(done);
    return done.finally(() => this.#inParts.delete(done));
  }

  /** Discards guest bytes; they read as zeros where the format has a zero flag. */
  discard(offset: number, length: number): Done {
    // Version 2 has no zero flag: freeing a cluster would expose the bytes of the backing file.
    if (this.#layer.geometry.version === 2 && !isBase(this.#layer)) return;
    return this.zero(offset, length, true);
  }

  /** As {@link requireSound}, for a flush: after it the failure counts as reported. */
  requireSoundToFlush(): void {
    this.#state.lifecycle.reportToFlush();
    this.requireSound();
  }

  /**
   * Runs `work`, which reads the image's metadata from the medium, after writing all of them back, refcounts too. Until
   * it ends changes wait; reads continue up to the first waiting change. Closing the image aborts it.
   *
   * @throws {@link Qcow2Error} `closed`, `failed`, and what a flush and `work` throw; the signal's reason when it
   *   aborts.
   */
  atRest<T>(work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    return this.#untilClose(async (ending) => {
      // Both locks are requested in one turn of the event loop, so no other request comes between them.
      const flushed = this.#alone(() => writeBack(this.#state, 'check'));
      flushed?.catch(() => {});
      return await this.#lock.reading(async () => {
        await flushed;
        ending.throwIfAborted();
        return work(ending);
      }, ending);
    }, signal);
  }

  /**
   * Runs a verb that changes the structure of the image, after those that were called before. Its slices have the
   * exclusive lock; between them other requests run. Closing the image aborts it, and waits for the slice that runs.
   *
   * @throws {@link Qcow2Error} `closed`, `failed`, and what `work` throws; the signal's reason when it aborts.
   */
  restructure<T>(work: (structure: Structure) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    this.#background?.abort(undefined); // an AbortError
    return this.#queueVerb(work, signal);
  }

  #queueVerb<T>(work: (structure: Structure) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    const done = this.#untilClose(
      (ending) => this.#restructuring.run(() => work(this.#structure(ending)), ending),
      signal,
    );
    this.#inParts.add(done);
    const remove = () => this.#inParts.delete(done);
    done.then(remove, remove);
    return done;
  }

  /** As {@link restructure}, for work that ends with the signal's `AbortError` when another verb is called. */
  async restructureInBackground(work: (structure: Structure) => Promise<void>, signal: AbortSignal): Promise<void> {
    const background = linkedAbort(signal);
    this.#background = background;
    try {
      await this.#queueVerb(work, background.signal);
    } finally {
      background.release();
      this.#background = null;
    }
  }

  /** A number that is another one after each request that reaches a file. */
  get activity(): number {
    const { deviceReads, deviceWrites, deviceFlushes } = this.#layer.counters;
    return deviceReads + deviceWrites + deviceFlushes;
  }

  /** Bytes. */
  get clusterSize(): number {
    return this.#layer.geometry.clusterSize;
  }

  #structure(signal: AbortSignal): Structure {
    const yieldIfDue = yieldWhenDue();
    return {
      layer: this.#layer,
      state: this.#state,
      writes: this.#writes,
      zeros: this.#zeros,
      signal,
      slice: async (steps) => {
        await yieldIfDue();
        signal.throwIfAborted();
        return this.#lock.writing(() => run(this.#guarded(steps)));
      },
    };
  }

  /** Runs `work` with a signal that aborts with `signal`, and when the image is closed. */
  async #untilClose<T>(work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    signal?.throwIfAborted();
    // A compaction in the background may begin at any time.
    if (this.#closing) throw closed();
    const ending = linkedAbort(signal);
    this.#endedByClose.add(ending);
    try {
      return await work(ending.signal);
    } finally {
      this.#endedByClose.delete(ending);
      ending.release();
    }
  }

  /** Returns when every change is on the medium, so that a crash cannot lose it. */
  flush(): Done {
    const failed = (error: unknown): never => {
      this.#state.lifecycle.reportToFlush();
      throw error;
    };
    try {
      return this.#alone(() => writeBack(this.#state, 'flush'))?.catch(failed);
    } catch (error) {
      return failed(error);
    }
  }

  /** Writes the bits of the bitmaps, so that they can be read. On the medium the bitmaps stay in use. */
  storeBitmaps(): Done {
    if (this.#state.bitmaps === null) return;
    return this.#alone(() => writeBack(this.#state, 'bitmaps'));
  }

  /**
   * Writes everything back for the last time, after all started requests. After a failure it writes nothing. When one
   * read of the backing chain takes more than a second meanwhile, all requests that need one fail with `closed`.
   *
   * @throws {@link Qcow2Error} what the first write or flush that failed threw, unless a flush has rejected because of
   *   it: what was written since the last flush may be lost.
   */
  close(): Done {
    this.#closing = true;
    for (const ending of this.#endedByClose) ending.abort(closed());
    const bases = this.#bases;
    const closing = this.#finish();
    if (closing === undefined || bases === null) return closing;
    bases.startClosing((reason) => this.#lock.abandonReaders(reason));
    return closing.finally(() => bases.endClosing());
  }

  #finish(): Done {
    if (this.#inParts.size > 0) return Promise.allSettled(this.#inParts).then(() => this.#finish());
    // Earlier requests may still change something, so these are checked under the lock.
    return this.#lock.writing(() => {
      const { lifecycle } = this.#state;
      lifecycle.throwUnreported();
      if (!lifecycle.failed && lifecycle.changed) return run(this.#guarded(() => writeBack(this.#state, 'close')));
    });
  }

  /**
   * Runs a request with the exclusive lock. If the image proves inconsistent, it is marked corrupt and the request
   * fails.
   */
  #alone(work: () => Steps): Done {
    return this.#lock.writing(() => run(this.#guarded(work)));
  }

  *#guarded<T>(work: () => Steps<T>): Steps<T> {
    this.requireSound();
    try {
      const result = yield* work();
      yield* this.#writes.keepBudgets();
      return result;
    } catch (error) {
      if (this.#state.lifecycle.inconsistent) yield* markCorrupt(this.#state, this.#layer.geometry.version);
      throw error;
    }
  }

  /**
   * Takes the lock anew for each step, so that other requests need not wait for the whole. On a synchronous device it
   * yields to the event loop, so that messages are not delayed.
   */
  *#zero(start: number, end: number, unmap: boolean): Steps {
    const yieldIfDue = yieldWhenDue();
    for (const rest = { at: start, tracked: false }; rest.at < end; ) {
      yield this.#alone(() => this.#nextZeros(rest, end, unmap));
      if (rest.at < end) yield yieldIfDue();
    }
  }

  /** One step of zeroing. What the disk no longer has, since it has shrunk meanwhile, counts as zeroed. */
  *#nextZeros(rest: ZeroProgress, end: number, unmap: boolean): Steps {
    const limit = Math.min(end, this.#layer.size);
    if (rest.at < limit) yield* this.#zeros.next(rest, limit, unmap);
    if (rest.at >= limit) rest.at = end;
  }
}

function closed(): Qcow2Error {
  return new Qcow2Error('closed', 'The image was closed.');
}
