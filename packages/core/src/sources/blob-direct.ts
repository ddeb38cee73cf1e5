/**
 * Reads a Blob without caching: short ranges that lie apart together, long ones in parallel slices. Loaded with the
 * first such read.
 */
import type { Done } from '../api/device.js';
import { all } from '../engine/async/done.js';
import { readSlice, readSlices } from './blob-slice.js';
import type { JoinedTransfer } from './joined-transfers.js';

/** Maximum slice, bytes: beyond it time grows with size, so parallel slices are faster. */
const MAX_SLICE = 4 * 1024 * 1024;
/** Maximum bytes of short reads that lie apart and are made one. */
const TOGETHER = 512 * 1024;

/** The source that is read. */
export interface ReadBlob {
  readonly blob: Blob;
  /** Limits concurrent reads. */
  limited<T>(read: () => Promise<T>): Promise<T>;
  /** As `limited`, for a read that returns the number of its bytes; converts errors to {@link Qcow2Error}. */
  guarded(start: number, end: number, read: () => Promise<number>): Promise<void>;
  /** Copies `bytes`, which begin at `from` in the joined transfer, to its parts. */
  scatter(joined: JoinedTransfer, from: number, bytes: Uint8Array): void;
}

/** Reads ranges of one Blob. */
export class DirectReads {
  readonly #source: ReadBlob;
  /** True once ranges could not be read as one Blob: the file has changed, or `blob` is none of the platform's. */
  #readsApart = false;

  constructor(source: ReadBlob) {
    this.#source = source;
  }

  /**
   * Fills every transfer.
   *
   * @throws the error of the first that failed, after all have ended.
   */
  async read(transfers: readonly JoinedTransfer[], signal: AbortSignal | undefined): Promise<void> {
    const short = transfers.filter(({ length }) => length <= TOGETHER / 2);
    const long = transfers.filter(({ length }) => length > TOGETHER / 2);
    await all([
      ...long.map((joined) => () => this.#readApart(joined, signal)),
      ...inGroups(short).map((group) => () => this.#readTogether(group, signal)),
    ]);
  }

  /** Reads short ranges as one Blob. If that fails, reads each by itself: those that can be read are filled. */
  async #readTogether(transfers: readonly JoinedTransfer[], signal: AbortSignal | undefined): Promise<void> {
    const { blob, limited, scatter } = this.#source;
    if (transfers.length > 1 && !this.#readsApart) {
      try {
        await limited(async () => {
          signal?.throwIfAborted();
          await readSlices(blob, transfers, (joined, bytes) => scatter(joined, 0, bytes));
        });
        return;
      } catch {
        signal?.throwIfAborted();
        this.#readsApart = true;
      }
    }
    await all(transfers.map((joined) => () => this.#readApart(joined, signal)));
  }

  async #readApart(joined: JoinedTransfer, signal: AbortSignal | undefined): Promise<void> {
    const { blob, guarded, scatter } = this.#source;
    const { at, length } = joined;
    const slices: (() => Done)[] = [];
    for (let from = 0; from < length; from += MAX_SLICE) {
      const to = Math.min(length, from + MAX_SLICE);
      slices.push(async () => {
        signal?.throwIfAborted();
        const deliver = (step: number, bytes: Uint8Array) => scatter(joined, from + step, bytes);
        await guarded(at + from, at + to, () => readSlice(blob, at + from, at + to, deliver));
      });
    }
    await all(slices);
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
