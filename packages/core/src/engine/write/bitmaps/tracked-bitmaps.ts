/**
 * Owns the bitmaps that follow every change of an image while it is written: that they are in use, which on the medium
 * means not to be trusted, from before the first change until the image was closed (spec: "Bitmap directory").
 */

import type { Transfer } from '../../../api/device.js';
import { BITMAP_FLAG } from '../../../format/bitmap-flag.js';
import { BITMAP_FLAGS_AT, type Bitmap } from '../../../format/bitmaps.js';
import { viewOf } from '../../../format/bytes.js';
import type { SpaceAllocator } from '../../allocation/allocator.js';
import type { MetadataMap } from '../../allocation/metadata-map.js';
import type { Steps } from '../../async/steps.js';
import type { Qcow2Layer } from '../../layer/layer.js';
import type { TrackedBitmap } from './tracked-bitmap.js';

const IN_USE = 1 << BITMAP_FLAG.inUse;
/** Bits kept in memory, bytes: more are brought to their clusters, where they stay in use. */
const BITS_BUDGET = 32 * 1024 * 1024;

/** A bitmap that is kept up to date, and where it is entered. */
export interface TrackedEntry {
  /** Its place in the directory: the first is 0. */
  readonly index: number;
  /** Offset of its entry, bytes. */
  readonly at: number;
  readonly bits: TrackedBitmap;
}

/** The bitmaps of one image that are kept up to date. */
export class TrackedBitmaps {
  readonly #layer: Qcow2Layer;
  readonly #tracked: readonly TrackedEntry[];
  readonly #metadata: MetadataMap;
  #held = 0;
  /** What the medium says of the tracked ones. */
  #inUse = false;

  constructor(layer: Qcow2Layer, tracked: readonly TrackedEntry[], metadata: MetadataMap) {
    this.#layer = layer;
    this.#tracked = tracked;
    this.#metadata = metadata;
  }

  /**
   * Marks the guest bytes from `start` to before `end` in every bitmap; `store` is run whenever too much is in memory.
   */
  *mark(start: number, end: number, store: () => Steps): Steps {
    for (const { bits } of this.#tracked) yield* bits.mark(start, end, (bytes) => this.#take(bytes, store));
  }

  *#take(bytes: number, store: () => Steps): Steps {
    this.#held += bytes;
    if (this.full) yield* store();
  }

  /** Whether so many bits are in memory that the next write-back stores them. */
  get full(): boolean {
    return this.#held > BITS_BUDGET;
  }

  /** How many clusters must be reserved before {@link place}. */
  get unallocated(): number {
    return this.#tracked.reduce((sum, { bits }) => sum + bits.unallocated, 0);
  }

  /** Gives the bits that have no cluster one each. Nothing on the medium refers to it before the roots. */
  place(space: SpaceAllocator): void {
    const { clusterSize } = this.#layer.geometry;
    const allocate = () => {
      const at = space.allocate();
      this.#metadata.add('bitmap data', at, clusterSize);
      return at;
    };
    for (const { bits } of this.#tracked) bits.place(allocate);
  }

  /** The bits that the medium does not have. */
  dataTransfers(): Transfer[] {
    return this.#tracked.flatMap(({ bits }) => bits.dataTransfers());
  }

  /** The entries of the bitmaps' tables that the medium does not have. */
  tableTransfers(): Transfer[] {
    return this.#tracked.flatMap(({ bits }) => bits.tableTransfers());
  }

  /** Says that all bits are on the medium. */
  stored(): void {
    for (const { bits } of this.#tracked) bits.stored();
    this.#held = 0;
  }

  /** All bitmaps of the image with the flags that the medium has of them. */
  get onMedium(): readonly Bitmap[] {
    const { bitmaps } = this.#layer;
    if (!this.#inUse) return bitmaps;
    const tracked = new Set(this.#tracked.map(({ index }) => index));
    return bitmaps.map((bitmap, index) =>
      tracked.has(index) ? { ...bitmap, flags: (bitmap.flags | IN_USE) >>> 0 } : bitmap,
    );
  }

  /**
   * What says in the directory, in place, that the bitmaps are in use, or no longer. Each flag is written whole or not
   * at all. Only the medium says so: here the bits are known, and to be trusted.
   */
  flagTransfers(inUse: boolean): Transfer[] {
    this.#inUse = inUse;
    return this.#tracked.map(({ index, at }): Transfer => {
      const { flags } = this.#layer.bitmaps[index]!;
      const bytes = new Uint8Array(4);
      viewOf(bytes).setUint32(0, inUse ? flags | IN_USE : flags);
      return { at: at + BITMAP_FLAGS_AT, bytes };
    });
  }
}
