/**
 * Owns the bits of one auto bitmap while its image is written (spec: "Bitmaps"). The bitmap is in use on the medium,
 * where nobody trusts it, so that its clusters may be overwritten in place; bits are only ever set, so that none of
 * them is given up.
 */

import type { ByteSource, Transfer } from '../../../api/device.js';
import {
  type BitmapTableEntry,
  getBitmapTableEntry,
  setBitmapTableEntry,
  setBits,
} from '../../../format/bitmap-table.js';
import type { Bitmap } from '../../../format/bitmaps.js';
import { viewOf } from '../../../format/bytes.js';
import { DirtyRanges } from '../../allocation/dirty-ranges.js';
import type { Steps } from '../../async/steps.js';
import { addDirty } from '../dirty-tables.js';

/** What a cluster of bits takes in memory beside them, bytes: measured in V8, rounded up. */
const OVERHEAD_BYTES = 512;

/** The bits of one table entry in memory: only those that the disk has. */
interface ClusterBits {
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
export function tableEntriesNeeded(size: number, { granularityBits }: Bitmap, clusterSize: number): number {
  return Math.ceil(Math.ceil(size / 2 ** granularityBits) / (clusterSize * 8));
}

/**
 * One bitmap. What was marked is in memory, by clusters of bits, each loaded when it is first
 * touched.
 */
export class TrackedBitmap {
  readonly #parts: DirtyBitmapParts;
  readonly #granularity: number;
  /** Bits of the whole bitmap, and of a cluster. */
  readonly #bits: number;
  readonly #bitsPerCluster: number;
  readonly #clusters = new Map<number, ClusterBits>();
  /** Indexes of those that have no cluster in the file yet. */
  readonly #unallocated = new Set<number>();
  readonly #dirtyTable = new DirtyRanges();

  constructor(parts: DirtyBitmapParts) {
    this.#parts = parts;
    this.#granularity = 2 ** parts.bitmap.granularityBits;
    this.#bits = Math.ceil(parts.size / this.#granularity);
    this.#bitsPerCluster = parts.clusterSize * 8;
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
      const index = Math.floor(bit / this.#bitsPerCluster);
      const base = index * this.#bitsPerCluster;
      const to = Math.min(last - base, this.#bitsPerCluster);
      const bytes = yield* this.#markCluster(index, bit - base, to);
      if (bytes > 0) yield* taken(bytes);
      bit = base + to;
    }
  }

  /** Gives every one that needs it a cluster out of `allocate`. */
  place(allocate: () => number): void {
    for (const index of this.#unallocated) this.#setEntry(index, { offset: allocate() });
    this.#unallocated.clear();
  }

  /** The bits that the medium does not have; all of them have a cluster. */
  dataTransfers(): Transfer[] {
    const transfers: Transfer[] = [];
    for (const [index, { bits, dirty }] of this.#clusters) {
      if (dirty.empty) continue;
      const entry = this.#entry(index);
      if (typeof entry === 'string') continue;
      addDirty(transfers, viewOf(bits), entry.offset, dirty);
      // A cluster that was written whole is new: what follows the last bit must be zero.
      const rest = this.#parts.clusterSize - bits.length;
      if (rest > 0 && dirty.end > bits.length) {
        transfers.push({ at: entry.offset + bits.length, bytes: new Uint8Array(rest) });
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
    this.#clusters.clear();
    this.#dirtyTable.clear();
  }

  /** Marks bits of one cluster of them. Returns how many bytes of memory it takes that were not taken before. */
  *#markCluster(index: number, from: number, to: number): Steps<number> {
    let cluster = this.#clusters.get(index);
    let taken = 0;
    if (cluster === undefined) {
      const entry = this.#entry(index);
      if (entry === 'set') return 0;
      if (entry === 'clear' && from === 0 && to === this.#bitsPerCluster) {
        this.#setEntry(index, 'set');
        return 0;
      }
      cluster = yield* this.#load(index, entry);
      taken = cluster.bits.length + OVERHEAD_BYTES;
    }
    if (setBits(cluster.bits, from, to)) cluster.dirty.add(from >> 3, ((to - 1) >> 3) + 1);
    return taken;
  }

  *#load(index: number, entry: Exclude<BitmapTableEntry, 'set'>): Steps<ClusterBits> {
    const bits = Math.min(this.#bitsPerCluster, this.#bits - index * this.#bitsPerCluster);
    const cluster = { bits: new Uint8Array(Math.ceil(bits / 8)), dirty: new DirtyRanges() };
    if (entry === 'clear') {
      this.#unallocated.add(index);
      cluster.dirty.add(0, this.#parts.clusterSize);
    } else {
      yield this.#parts.source.read([{ at: entry.offset, bytes: cluster.bits }]);
    }
    this.#clusters.set(index, cluster);
    return cluster;
  }

  #entry(index: number): BitmapTableEntry {
    return getBitmapTableEntry(this.#parts.table, index, this.#parts.clusterSize, this.#parts.bitmap);
  }

  #setEntry(index: number, entry: BitmapTableEntry): void {
    setBitmapTableEntry(this.#parts.table, index, entry);
    this.#dirtyTable.add(index * 8, index * 8 + 8);
  }
}
