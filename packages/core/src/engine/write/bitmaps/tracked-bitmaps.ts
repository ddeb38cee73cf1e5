/**
 * The bitmaps that every change of an image updates. They are marked in-use on the medium, and so invalid for other
 * readers, from before the first change until the image is closed (spec: "Bitmap directory").
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
/** Bytes of bits in memory: beyond it they are written to their clusters. The bitmaps stay in use. */
const BITS_BUDGET = 32 * 1024 * 1024;

/** A bitmap that is updated, and its directory entry. */
export interface TrackedEntry {
  /** Its index in the directory, from 0. */
  readonly index: number;
  /** Offset of its entry, bytes; changed when the directory moves. */
  at: number;
  readonly bits: TrackedBitmap;
}

/** The tracked bitmaps of one image. */
export class TrackedBitmaps {
  readonly #layer: Qcow2Layer;
  readonly #tracked: readonly TrackedEntry[];
  readonly #metadata: MetadataMap;
  #held = 0;
  /** The in-use flag of the tracked bitmaps on the medium. */
  #inUse = false;

  constructor(layer: Qcow2Layer, tracked: readonly TrackedEntry[], metadata: MetadataMap) {
    this.#layer = layer;
    this.#tracked = tracked;
    this.#metadata = metadata;
  }

  /**
   * Marks the guest bytes from `start` to before `end` in every bitmap. `store` runs whenever too much is in memory.
   */
  *mark(start: number, end: number, store: () => Steps): Steps {
    for (const { bits } of this.#tracked) yield* bits.mark(start, end, (bytes) => this.#take(bytes, store));
  }

  *#take(bytes: number, store: () => Steps): Steps {
    this.#held += bytes;
    if (this.full) yield* store();
  }

  /** Follows the directory, which has moved by `distance` bytes. */
  directoryMoved(distance: number): void {
    for (const entry of this.#tracked) entry.at += distance;
  }

  /** The bitmaps, each with its directory entry. */
  get entries(): readonly TrackedEntry[] {
    return this.#tracked;
  }

  /** True if so many bits are in memory that the next write-back stores them. */
  get full(): boolean {
    return this.#held > BITS_BUDGET;
  }

  /** The number of clusters to reserve before {@link allocateClusters}. */
  get unallocated(): number {
    return this.#tracked.reduce((sum, { bits }) => sum + bits.unallocated, 0);
  }

  /** Allocates clusters for the bits that have none. Nothing on the medium refers to them before the roots stage. */
  allocateClusters(space: SpaceAllocator): void {
    const { clusterSize } = this.#layer.geometry;
    const allocate = () => {
      const at = space.allocate();
      this.#metadata.add('bitmap data', at, clusterSize);
      return at;
    };
    for (const { bits } of this.#tracked) bits.allocateClusters(allocate);
  }

  /** The bits that are not on the medium yet. */
  dataTransfers(): Transfer[] {
    return this.#tracked.flatMap(({ bits }) => bits.dataTransfers());
  }

  /** The entries of the bitmap tables that are not on the medium yet. */
  tableTransfers(): Transfer[] {
    return this.#tracked.flatMap(({ bits }) => bits.tableTransfers());
  }

  /** Drops the bits from memory, once all of them are on the medium. */
  stored(): void {
    for (const { bits } of this.#tracked) bits.stored();
    this.#held = 0;
  }

  /** All bitmaps of the image, with their flags on the medium. */
  get onMedium(): readonly Bitmap[] {
    const { bitmaps } = this.#layer;
    if (!this.#inUse) return bitmaps;
    const tracked = new Set(this.#tracked.map(({ index }) => index));
    return bitmaps.map((bitmap, index) =>
      tracked.has(index) ? { ...bitmap, flags: (bitmap.flags | IN_USE) >>> 0 } : bitmap,
    );
  }

  /**
   * The transfers that set or clear the in-use flags in the directory, in place. Each flag is written atomically. Only
   * the flags on the medium change: for this writer the bitmaps stay valid.
   */
  flagTransfers(inUse: boolean): Transfer[] {
    this.#inUse = inUse;
    return inUseTransfers(this.#layer, this.#tracked, inUse);
  }
}

/** The transfers that set or clear the in-use flags of bitmaps in their directory entries. */
export function inUseTransfers({ bitmaps }: Qcow2Layer, entries: readonly TrackedEntry[], inUse: boolean): Transfer[] {
  return entries.map(({ index, at }): Transfer => {
    const { flags } = bitmaps[index]!;
    const bytes = new Uint8Array(4);
    viewOf(bytes).setUint32(0, inUse ? flags | IN_USE : flags);
    return { at: at + BITMAP_FLAGS_AT, bytes };
  });
}
