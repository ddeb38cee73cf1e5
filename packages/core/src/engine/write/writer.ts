/** Owns the changing of an open image: each request alone and in its turn, and what happens when one fails. */

import type { Done } from '../../api/device.js';
import { Qcow2Error } from '../../errors.js';
import { withCurrentFields } from '../../format/header-fields.js';
import { onAbort } from '../async/on-abort.js';
import { requireIntact, whileIntact } from '../async/request-buffers.js';
import type { RwLock } from '../async/rw-lock.js';
import { run, type Steps } from '../async/steps.js';
import { turnsWhenDue } from '../async/yield-to-event-loop.js';
import { isBase, type Qcow2Layer } from '../layer/layer.js';
import { mustWait } from '../layer/wait-tracker.js';
import { readsWait } from '../read/synchronous.js';
import type { WatchedBacking } from '../read/watched-backing.js';
import type { TrackedDevice } from './tracked-device.js';
import { markCorrupt, writeBack } from './write-back.js';
import type { WriteState } from './write-state.js';
import { type WriteBudgets, WriteSteps } from './write-steps.js';
import { ZeroSteps } from './zero-steps.js';

/**
 * The writing side of an open image. Requests are carried out one by one, in the order in which they came; only zeroing
 * and discarding across the reach of an L2 table lets others in between, so what overlaps it must wait for it.
 */
export class Writer {
  readonly #layer: Qcow2Layer;
  readonly #state: WriteState;
  readonly #lock: RwLock;
  readonly #writes: WriteSteps;
  readonly #zeros: ZeroSteps;
  /** The files behind the image; null when there are none to read. */
  readonly #bases: WatchedBacking | null;
  /** Requests that let others in between their parts, and are not done. */
  readonly #inParts = new Set<Promise<void>>();
  /** Ends work that reads the medium at rest. */
  readonly #resting = new Set<AbortController>();
  /** A flush has rejected because of the failure: closing need not say it again. */
  #reported = false;

  constructor(layer: Qcow2Layer, state: WriteState, lock: RwLock, budgets: WriteBudgets, bases: WatchedBacking | null) {
    this.#layer = layer;
    this.#state = state;
    this.#lock = lock;
    this.#bases = bases;
    this.#writes = new WriteSteps(layer, state, budgets, bases?.signal);
    this.#zeros = new ZeroSteps(layer, state, this.#writes);
  }

  /**
   * Why a change cannot be made at once: another request is at work, or a file makes its caller wait. Files that are
   * only read count, too, since parts of clusters are copied from them. Null when it can.
   *
   * @throws {@link Qcow2Error} what a device throws that is asked.
   */
  get waiting(): Qcow2Error | null {
    const { device, data } = this.#state;
    if (!this.#lock.idle) return mustWait(null);
    if (this.#makesWait(device)) return mustWait({ what: 'image', depth: 0 });
    if (data !== null && this.#makesWait(data)) return mustWait({ what: 'data file', depth: 1 });
    return readsWait(this.#layer);
  }

  /** Whether a device returns promises. What it begins to learn that holds the lock until it has ended. */
  #makesWait(device: TrackedDevice): boolean {
    if (device.waited) return true;
    const probing = this.#lock.writing(() => device.probe());
    probing?.catch(() => {});
    return probing !== undefined;
  }

  /** Rises whenever {@link current} changes. */
  get revision(): number {
    return this.#state.revision;
  }

  /**
   * The image as the medium describes it now: its header changes, and its bitmaps are in use from the first change on.
   */
  get current(): Qcow2Layer {
    const layer = this.#layer;
    const { header, bitmaps } = this.#state;
    return {
      ...layer,
      header: withCurrentFields(layer.header, header),
      bitmaps: bitmaps?.onMedium ?? layer.bitmaps,
    };
  }

  /**
   * Refuses everything after a failure.
   *
   * @throws {@link Qcow2Error} `failed`.
   */
  alive(): void {
    const cause = this.#failure;
    if (cause === null) return;
    const message = 'A write failed before. What was flushed is safe; open the image again to go on.';
    throw new Qcow2Error('failed', message, {}, { cause });
  }

  /** Why nothing can be done any more: a device failed, or the image contradicts itself. */
  get #failure(): unknown {
    const { device, data, metadata } = this.#state;
    return device.failure ?? data?.failure ?? metadata.damage;
  }

  /** Writes guest bytes. What is written may be lost until the next flush, never torn apart from what it belongs to. */
  write(offset: number, bytes: Uint8Array): Done {
    const { length } = bytes;
    const done = this.#lock.writing(() => {
      requireIntact(bytes, length);
      const place = this.#failure === null ? this.#writes.placeOf(offset, length) : null;
      if (place !== null) {
        // A view can have grown with its buffer while it waited.
        const own = bytes.length === length ? bytes : bytes.subarray(0, length);
        return this.#state.device.write([{ at: place, bytes: own }]);
      }
      return run(this.#guarded(() => this.#writes.write(offset, bytes, length)));
    });
    return whileIntact(done, bytes, length);
  }

  /** Turns guest bytes into zeros; `unmap` gives up the clusters that held them. */
  zero(offset: number, length: number, unmap: boolean): Done {
    const done = run(this.#zero(offset, offset + length, unmap));
    if (done === undefined) return;
    this.#inParts.add(done);
    return done.finally(() => this.#inParts.delete(done));
  }

  /** Gives up guest bytes; they read as zeros where the format can say so. */
  discard(offset: number, length: number): Done {
    // Nothing says "zeros" in version 2, and giving a cluster up would let the backing file's bytes through.
    if (this.#layer.geometry.version === 2 && !isBase(this.#layer)) return;
    return this.zero(offset, length, true);
  }

  /** As {@link alive}, for a flush: after it the failure counts as reported. */
  aliveToFlush(): void {
    this.#reported ||= this.#failure !== null;
    this.alive();
  }

  /**
   * Runs `work`, which reads the image's metadata from the medium, once all of them are there, refcounts too. Until it
   * ends changes wait, and reads go on up to the first change that waits. Closing the image aborts it.
   *
   * @throws {@link Qcow2Error} `closed`, `failed`, and what a flush and `work` throw; the signal's reason when it
   *   aborts.
   */
  async atRest<T>(work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    signal?.throwIfAborted();
    const ending = new AbortController();
    const ignore = signal && onAbort(signal, () => ending.abort(signal.reason));
    this.#resting.add(ending);
    try {
      // The lock lets nothing in between the two: they are asked for at once.
      const flushed = this.#alone(() => writeBack(this.#state, 'check'));
      flushed?.catch(() => {});
      return await this.#lock.reading(async () => {
        await flushed;
        ending.signal.throwIfAborted();
        return work(ending.signal);
      }, ending.signal);
    } finally {
      this.#resting.delete(ending);
      ignore?.();
    }
  }

  /** Returns when every change is on the medium, to be found there whatever happens. */
  flush(): Done {
    const failed = (error: unknown): never => {
      this.#reported ||= this.#failure !== null;
      throw error;
    };
    try {
      return this.#alone(() => writeBack(this.#state, 'flush'))?.catch(failed);
    } catch (error) {
      return failed(error);
    }
  }

  /** Brings the bits of bitmaps to where they are read. On the medium they stay in use. */
  storeBitmaps(): Done {
    if (this.#state.bitmaps === null) return;
    return this.#alone(() => writeBack(this.#state, 'bitmaps'));
  }

  /**
   * Brings everything to the medium for the last time, once everything that was started has ended. After a failure
   * there is nothing to bring. When one read of a file behind the image takes a second meanwhile, all requests that
   * need one end with the error `closed`.
   *
   * @throws {@link Qcow2Error} what the first write or flush that failed threw, unless a flush has rejected because of
   *   it: what was written since the last flush may be lost.
   */
  close(): Done {
    for (const ending of this.#resting) ending.abort(new Qcow2Error('closed', 'The image was closed.'));
    const bases = this.#bases;
    const closing = this.#finish();
    if (closing === undefined || bases === null) return closing;
    bases.startClosing((reason) => this.#lock.leaveReaders(reason));
    return closing.finally(() => bases.endClosing());
  }

  #finish(): Done {
    if (this.#inParts.size > 0) return Promise.allSettled(this.#inParts).then(() => this.#finish());
    // Whether anything was changed is known only when it is this request's turn.
    return this.#lock.writing(() => {
      const failure = this.#failure;
      if (failure !== null && !this.#reported) throw failure;
      if (failure === null && this.#writes.marked) return run(this.#guarded(() => writeBack(this.#state, 'close')));
    });
  }

  /** Runs a request alone. An image that contradicts itself is marked corrupt, and fails. */
  #alone(work: () => Steps): Done {
    return this.#lock.writing(() => run(this.#guarded(work)));
  }

  *#guarded(work: () => Steps): Steps {
    this.alive();
    try {
      yield* work();
      yield* this.#writes.keepBudgets();
    } catch (error) {
      if (this.#state.metadata.damage !== null) yield* markCorrupt(this.#state, this.#layer.geometry.version);
      throw error;
    }
  }

  /**
   * Each part alone, so that no other request waits for the whole, and neither does a message on a device that never
   * waits.
   */
  *#zero(start: number, end: number, unmap: boolean): Steps {
    const turn = turnsWhenDue();
    for (const rest = { at: start, tracked: false }; rest.at < end; ) {
      yield this.#alone(() => this.#zeros.next(rest, end, unmap));
      if (rest.at < end) yield turn();
    }
  }
}
