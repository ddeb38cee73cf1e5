/**
 * Owns the bits of one auto bitmap while its image is written (spec: "Bitmaps"). The bitmap is in use on the medium,
 * where nobody trusts it, so that its clusters may be overwritten in place; bits are only ever set, so that none of
 * them is given up.
 */

import type { ByteSource, Transfer } from '../../../api/device.js';
import { type BitmapStretch, getBitmapStretch, setBitmapStretch, setBits } from '../../../format/bitmap-table.js';
import type { Bitmap } from '../../../format/bitmaps.js';
import { viewOf } from '../../../format/bytes.js';
import { DirtyRanges } from '../../allocation/dirty-ranges.js';
import type { Steps } from '../../async/steps.js';
import { addDirty } from '../dirty-tables.js';

/** What a stretch takes in memory beside its bits, bytes: measured in V8, rounded up. */
const STRETCH_BYTES = 512;

/** The bits of one table entry in memory: only those that the disk has. */
interface Stretch {
  readonly bits: Uint8Array<ArrayBuffer>;
  readonly dirty: DirtyRanges;
}

/** What a bitmap is made from. Sizes in bytes. */
export interface DirtyBitmapParts {
  readonly bitmap: Bitmap;
  /** Its table, of valid entries. */
  readonly table: DataView;
  readonly source: ByteSource;
  readonly clusterSize: number;
  /** Of the disk. */
  readonly size: number;
}

/** How many entries the table of a bitmap has at least, for a disk of `size` bytes. */
export function stretchesNeeded(size: number, { granularityBits }: Bitmap, clusterSize: number): number {
  return Math.ceil(Math.ceil(size / 2 ** granularityBits) / (clusterSize * 8));
}

/**
 * One bitmap. What was marked is in memory, in stretches of a cluster of bits that are loaded when they are first
 * touched.
 */
export class TrackedBitmap {
  readonly #parts: DirtyBitmapParts;
  readonly #granularity: number;
  /** Bits of the whole bitmap, and of a stretch. */
  readonly #bits: number;
  readonly #perStretch: number;
  readonly #stretches = new Map<number, Stretch>();
  /** Stretches that have no cluster yet. */
  readonly #unallocated = new Set<number>();
  readonly #dirtyTable = new DirtyRanges();

  constructor(parts: DirtyBitmapParts) {
    this.#parts = parts;
    this.#granularity = 2 ** parts.bitmap.granularityBits;
    this.#bits = Math.ceil(parts.size / this.#granularity);
    this.#perStretch = parts.clusterSize * 8;
  }

  /** How many clusters it needs before it can be stored. */
  get unallocated(): number {
    return this.#unallocated.size;
  }

  /**
   * Marks the granules of the guest bytes from `start` to before `end`. Whenever that took memory, `taken` is run with
   * the number of bytes: it may bring the bits to the medium and let go of them.
   */
  *mark(start: number, end: number, taken: (bytes: number) => Steps): Steps {
    const first = Math.floor(start / this.#granularity);
    const last = Math.min(this.#bits, Math.ceil(end / this.#granularity));
    for (let bit = first; bit < last; ) {
      const index = Math.floor(bit / this.#perStretch);
      const base = index * this.#perStretch;
      const to = Math.min(last - base, this.#perStretch);
      const bytes = yield* this.#markStretch(index, bit - base, to);
      if (bytes > 0) yield* taken(bytes);
      bit = base + to;
    }
  }

  /** Gives every stretch that needs one a cluster out of `allocate`. */
  place(allocate: () => number): void {
    for (const index of this.#unallocated) this.#setEntry(index, { offset: allocate() });
    this.#unallocated.clear();
  }

  /** The bits that the medium does not have; all of them have a cluster. */
  dataTransfers(): Transfer[] {
    const transfers: Transfer[] = [];
    for (const [index, { bits, dirty }] of this.#stretches) {
      if (dirty.empty) continue;
      const stretch = this.#entry(index);
      if (typeof stretch === 'string') continue;
      addDirty(transfers, viewOf(bits), stretch.offset, dirty);
      // A cluster that was written whole is new: what follows the last bit must be zero.
      const rest = this.#parts.clusterSize - bits.length;
      if (rest > 0 && dirty.end > bits.length) {
        transfers.push({ at: stretch.offset + bits.length, bytes: new Uint8Array(rest) });
      }
    }
    return transfers;
  }

  /** The entries of the table that the medium does not have. */
  tableTransfers(): Transfer[] {
    const transfers: Transfer[] = [];
    addDirty(transfers, this.#parts.table, this.#parts.bitmap.tableOffset, this.#dirtyTable);
    return transfers;
  }

  /** Says that all of it is on the medium, and need not be kept in memory. */
  stored(): void {
    this.#stretches.clear();
    this.#dirtyTable.clear();
  }

  /** Marks bits of one stretch. Returns how many bytes of memory it takes that were not taken before. */
  *#markStretch(index: number, from: number, to: number): Steps<number> {
    let stretch = this.#stretches.get(index);
    let taken = 0;
    if (stretch === undefined) {
      const entry = this.#entry(index);
      if (entry === 'set') return 0;
      if (entry === 'clear' && from === 0 && to === this.#perStretch) {
        this.#setEntry(index, 'set');
        return 0;
      }
      stretch = yield* this.#load(index, entry);
      taken = stretch.bits.length + STRETCH_BYTES;
    }
    if (setBits(stretch.bits, from, to)) stretch.dirty.add(from >> 3, ((to - 1) >> 3) + 1);
    return taken;
  }

  *#load(index: number, entry: Exclude<BitmapStretch, 'set'>): Steps<Stretch> {
    const bits = Math.min(this.#perStretch, this.#bits - index * this.#perStretch);
    const stretch = { bits: new Uint8Array(Math.ceil(bits / 8)), dirty: new DirtyRanges() };
    if (entry === 'clear') {
      this.#unallocated.add(index);
      stretch.dirty.add(0, this.#parts.clusterSize);
    } else {
      yield this.#parts.source.read([{ at: entry.offset, bytes: stretch.bits }]);
    }
    this.#stretches.set(index, stretch);
    return stretch;
  }

  #entry(index: number): BitmapStretch {
    return getBitmapStretch(this.#parts.table, index, this.#parts.clusterSize, this.#parts.bitmap);
  }

  #setEntry(index: number, stretch: BitmapStretch): void {
    setBitmapStretch(this.#parts.table, index, stretch);
    this.#dirtyTable.add(index * 8, index * 8 + 8);
  }
}
