/**
 * The bits of one auto-loading bitmap while its image is written (spec: "Bitmaps"). The bitmap is marked in-use on the
 * medium, so its clusters may be overwritten in place. Bits are only ever set, so its clusters are never freed.
 */

import type { ByteSource, Transfer } from '../../../api/device.js';
import {
  type BitmapTableEntry,
  clearBits,
  getBitmapTableEntry,
  setBitmapTableEntry,
  setBits,
} from '../../../format/bitmap-table.js';
import type { Bitmap } from '../../../format/bitmaps.js';
import { viewOf } from '../../../format/bytes.js';
import { DirtyRanges } from '../../allocation/dirty-ranges.js';
import type { Steps } from '../../async/steps.js';
import type { Freed } from '../../mapping/cluster-mapping.js';
import { addDirty } from '../dirty-tables.js';

/** Bytes of memory that a cluster of bits takes beside them: measured in V8, rounded up. */
const OVERHEAD_BYTES = 512;

/** The bits of one table entry in memory, without those past the end of the disk. */
interface ClusterBits {
  readonly bits: Uint8Array<ArrayBuffer>;
  readonly dirty: DirtyRanges;
}

/** What a bitmap is made from. Sizes in bytes. */
export interface DirtyBitmapParts {
  readonly bitmap: Bitmap;
  /** The bitmap's table, of valid entries. */
  readonly table: DataView;
  readonly source: ByteSource;
  readonly clusterSize: number;
  /** Size of the disk. */
  readonly size: number;
}

/** One bitmap. Its bits are in memory by clusters, each loaded when it is first touched. */
export class TrackedBitmap {
  #parts: DirtyBitmapParts;
  readonly #granularity: number;
  /** Bits of the whole bitmap, and of a cluster. */
  #bits: number;
  readonly #bitsPerCluster: number;
  readonly #clusters = new Map<number, ClusterBits>();
  /** Indexes of those that have no cluster in the file yet. */
  readonly #unallocated = new Set<number>();
  readonly #dirtyTable = new DirtyRanges();
  /** The bits of the last cluster that a shorter disk needs. */
  #lastBits: Uint8Array<ArrayBuffer> | null = null;

  constructor(parts: DirtyBitmapParts) {
    this.#parts = parts;
    this.#granularity = 2 ** parts.bitmap.granularityBits;
    this.#bits = Math.ceil(parts.size / this.#granularity);
    this.#bitsPerCluster = parts.clusterSize * 8;
  }

  /** Its directory entry. */
  get bitmap(): Bitmap {
    return this.#parts.bitmap;
  }

  /** Its table. */
  get table(): DataView {
    return this.#parts.table;
  }

  /** Uses another table with the same entries, but for unset ones at its end. `bitmap` says where it is. */
  replaceTable(bitmap: Bitmap, table: DataView): void {
    this.#parts = { ...this.#parts, bitmap, table };
  }

  /** Reads what {@link resize} changes for this size of the disk, bytes: the cluster of bits with a nearer end. */
  *prepare(size: number): Steps {
    const bits = Math.ceil(size / this.#granularity);
    this.#lastBits = null;
    if (bits >= this.#bits || bits % this.#bitsPerCluster === 0) return;
    const last = this.#entry(Math.floor(bits / this.#bitsPerCluster));
    if (typeof last === 'string') return;
    this.#lastBits = new Uint8Array(Math.ceil((bits % this.#bitsPerCluster) / 8));
    yield this.#parts.source.read([{ at: last.offset, bytes: this.#lastBits }]);
  }

  /**
   * Adapts to another size of the disk, bytes, for which {@link prepare} has read; no bits may be in memory, and the
   * table must have enough entries. Bits past a nearer end are cleared, and count as not on the medium yet. Returns the
   * clusters of bits that are no longer used, once the table is on the medium.
   */
  resize(size: number): Freed[] {
    const before = this.#bits;
    this.#parts = { ...this.#parts, size };
    this.#bits = Math.ceil(size / this.#granularity);
    if (this.#bits >= before) return [];
    const { table, clusterSize } = this.#parts;
    const kept = Math.ceil(this.#bits / this.#bitsPerCluster);
    const freed: Freed[] = [];
    for (let index = kept; index < table.byteLength / 8; index++) {
      const entry = this.#entry(index);
      if (entry === 'clear') continue;
      if (entry !== 'set') freed.push({ host: entry.offset, length: clusterSize });
      this.#setEntry(index, 'clear');
    }
    const rest = this.#bits % this.#bitsPerCluster;
    const bits = this.#lastBits;
    if (bits !== null) {
      clearBits(bits, rest);
      const dirty = new DirtyRanges();
      dirty.add(0, clusterSize);
      this.#clusters.set(kept - 1, { bits, dirty });
      this.#lastBits = null;
    }
    return freed;
  }

  /** The number of clusters to allocate before it can be stored. */
  get unallocated(): number {
    return this.#unallocated.size;
  }

  /**
   * Marks the granules of the guest bytes from `start` to before `end`. Whenever that took memory, `taken` is run with
   * the number of bytes: it may store the bits and drop them from memory.
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

  /** Allocates a cluster for each cluster of bits that has none. */
  allocateClusters(allocate: () => number): void {
    for (const index of this.#unallocated) this.#setEntry(index, { offset: allocate() });
    this.#unallocated.clear();
  }

  /** The bits that are not on the medium yet; all of them must have a cluster. */
  dataTransfers(): Transfer[] {
    const transfers: Transfer[] = [];
    for (const [index, { bits, dirty }] of this.#clusters) {
      if (dirty.empty) continue;
      const entry = this.#entry(index);
      if (typeof entry === 'string') continue;
      addDirty(transfers, viewOf(bits), entry.offset, dirty);
      // The cluster is new if all of it is dirty. Then the bytes past the last bit must be zeroed.
      const rest = this.#parts.clusterSize - bits.length;
      if (rest > 0 && dirty.end > bits.length) {
        transfers.push({ at: entry.offset + bits.length, bytes: new Uint8Array(rest) });
      }
    }
    return transfers;
  }

  /** The table entries that are not on the medium yet. */
  tableTransfers(): Transfer[] {
    const transfers: Transfer[] = [];
    addDirty(transfers, this.#parts.table, this.#parts.bitmap.tableOffset, this.#dirtyTable);
    return transfers;
  }

  /** Drops the bits from memory, once all of them are on the medium. */
  stored(): void {
    this.#clusters.clear();
    this.#dirtyTable.clear();
  }

  /** Marks bits of one cluster of bits. Returns how many more bytes of memory it takes. */
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
