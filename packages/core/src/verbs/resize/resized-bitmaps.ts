/**
 * The bitmaps of an image that is resized: those that follow the guest's writes, and those that do not. All are marked
 * in use, and so invalid for other readers, until the header has the new size and they have as many bits as the disk
 * needs (spec: "Bitmaps").
 */
import type { Steps } from '../../engine/async/steps.js';
import type { Freed } from '../../engine/mapping/cluster-mapping.js';
import { readBitmapTables } from '../../engine/write/bitmaps/open-bitmaps.js';
import { TrackedBitmap } from '../../engine/write/bitmaps/tracked-bitmap.js';
import { inUseTransfers, type TrackedEntry } from '../../engine/write/bitmaps/tracked-bitmaps.js';
import { takeConsecutive } from '../../engine/write/find-clusters.js';
import { flushes } from '../../engine/write/flushes.js';
import type { Structure } from '../../engine/write/structure.js';
import { writeBack } from '../../engine/write/write-back.js';
import { Qcow2Error } from '../../errors.js';
import { BITMAP_FLAG } from '../../format/bitmap-flag.js';
import { getBitmapTableEntry, tableEntriesNeeded } from '../../format/bitmap-table.js';
import { BITMAP_TABLE_SIZE_AT, type Bitmap, bitmapEntryLength, hasBitmapFlag } from '../../format/bitmaps.js';
import { decodeBitmapsExtension } from '../../format/bitmaps-extension.js';
import { alignUp, hex, setUint64, viewOf } from '../../format/bytes.js';
import { EXTENSION, findExtension } from '../../format/extensions.js';
import { MAX_BITMAP_DATA_BYTES } from '../../format/limits.js';
import { decodeName } from '../../format/names.js';

const ENTRY_BYTES = 8;

/** The bitmaps of an image, and its new size. */
export class ResizedBitmaps {
  readonly #structure: Structure;
  /** Bytes. */
  readonly #size: number;
  readonly #shrinks: boolean;
  /** Those that do not follow the guest's writes: they are in use only while the disk is resized. */
  readonly #others: readonly TrackedEntry[];
  /** The host offsets of tables that move. */
  readonly #places = new Map<TrackedEntry, number>();

  private constructor(structure: Structure, size: number, others: readonly TrackedEntry[]) {
    this.#structure = structure;
    this.#size = size;
    this.#shrinks = size < structure.layer.size;
    this.#others = others;
  }

  /**
   * Opens the bitmaps. Changes nothing.
   *
   * @throws {@link Qcow2Error} `unsupported` when a bitmap cannot have as many bits as the disk needs then, or none.
   */
  static async open(structure: Structure, size: number): Promise<ResizedBitmaps> {
    const { layer, state, signal } = structure;
    if (layer.bitmaps.length === 0 || state.untracked !== null) return new ResizedBitmaps(structure, size, []);
    if (size === 0) {
      // QEMU opens no image with a bitmap of no bits, whatever its table is.
      const message = 'The disk has bitmaps, and cannot be of no bytes. Remove them first.';
      throw new Qcow2Error('unsupported', message, { what: 'bitmap', name: decodeName(layer.bitmaps[0]!.name) });
    }
    for (const bitmap of layer.bitmaps) {
      const needed = tableEntriesNeeded(size, bitmap, layer.geometry.clusterSize);
      if (needed * layer.geometry.clusterSize <= MAX_BITMAP_DATA_BYTES) continue;
      const name = decodeName(bitmap.name);
      const message = `The bitmap "${name}" would be too long for a disk of ${size} bytes. Remove it first.`;
      throw new Qcow2Error('unsupported', message, { what: 'bitmap', name });
    }
    const others = otherBitmaps(structure, await readBitmapTables(layer, signal));
    return new ResizedBitmaps(structure, size, others);
  }

  /**
   * Reads and allocates what {@link resize} needs: once the header has the new size, no read may fail.
   *
   * @throws {@link Qcow2Error} `no-space`, and what the device throws. Then nothing has changed.
   */
  *prepare(): Steps {
    const { state, layer } = this.#structure;
    const { clusterSize } = layer.geometry;
    const taken: Freed[] = [];
    try {
      for (const entry of this.#entries) {
        yield* entry.bits.prepare(this.#size);
        const { clusters, moves } = this.#longerTable(entry);
        if (!moves) continue;
        const host = yield* takeConsecutive(state, clusters);
        taken.push({ host, length: clusters * clusterSize });
        this.#places.set(entry, host);
      }
      if (taken.length > 0) yield* writeBack(state, 'flush');
    } catch (error) {
      for (const run of taken) state.space.retire(run);
      throw error;
    }
    for (const { host, length } of taken) state.metadata.add('bitmap table', host, length);
  }

  /** Every bitmap that is resized. */
  get #entries(): readonly TrackedEntry[] {
    const { state, layer } = this.#structure;
    if (state.untracked !== null || layer.bitmaps.length === 0) return [];
    return [...(state.bitmaps?.entries ?? []), ...this.#others];
  }

  /** The entries that a table needs, its clusters then, and whether they are more than it has. */
  #longerTable({ bits: { bitmap } }: TrackedEntry): { tableSize: number; clusters: number; moves: boolean } {
    const { clusterSize } = this.#structure.layer.geometry;
    const tableSize = tableEntriesNeeded(this.#size, bitmap, clusterSize);
    const clusters = Math.ceil((tableSize * ENTRY_BYTES) / clusterSize);
    return { tableSize, clusters, moves: clusters > Math.ceil((bitmap.tableSize * ENTRY_BYTES) / clusterSize) };
  }

  /** Marks those in use that are not marked by the first change of an image. */
  *markInUse(): Steps {
    if (this.#others.length === 0) return;
    const { state, layer } = this.#structure;
    yield state.device.write(inUseTransfers(layer, this.#others, true));
    yield flushes.bitmapsMarked(state);
  }

  /** Gives every bitmap the bits that the disk needs. The bits of all must be on the medium. */
  *resize(): Steps {
    const { state, layer } = this.#structure;
    const entries = this.#entries;
    if (entries.length === 0) return;
    const freed: Freed[] = [];
    for (const entry of entries) {
      for (const run of yield* this.#extendTable(entry)) freed.push(run);
      for (const run of entry.bits.resize(this.#size)) freed.push(run);
      yield state.device.write([...entry.bits.dataTransfers(), ...entry.bits.tableTransfers()]);
      for (const run of yield* this.#shortenTable(entry)) freed.push(run);
    }
    yield flushes.bitmapsResized(state);
    for (const { bits } of entries) bits.stored();
    if (this.#others.length > 0) yield state.device.write(inUseTransfers(layer, this.#others, false));
    for (const run of freed) state.space.retire(run);
  }

  /**
   * Makes the table long enough: in its place where its clusters suffice, else in a new one. Returns the clusters that
   * the table no longer uses.
   */
  *#extendTable(entry: TrackedEntry): Steps<Freed[]> {
    const { state, layer } = this.#structure;
    const { clusterSize } = layer.geometry;
    const { bitmap, table } = entry.bits;
    const { tableSize, clusters, moves } = this.#longerTable(entry);
    if (tableSize <= bitmap.tableSize) return [];
    const oldBytes = bitmap.tableSize * ENTRY_BYTES;
    const tableOffset = this.#places.get(entry) ?? bitmap.tableOffset;
    const bytes = new Uint8Array(clusters * clusterSize);
    bytes.set(new Uint8Array(table.buffer, table.byteOffset, oldBytes));
    const from = moves ? 0 : oldBytes;
    yield state.device.write([{ at: tableOffset + from, bytes: bytes.subarray(from) }]);
    yield* writeBack(state, 'flush');
    // The write-back has flushed the table. In this order, so that the directory never refers to more clusters than the
    // table has.
    const place = new Uint8Array(8);
    setUint64(viewOf(place), 0, tableOffset);
    yield state.device.write([{ at: entry.at, bytes: place }]);
    yield flushes.bitmapTableSwitched(state);
    yield* this.#switchTable(entry, { ...bitmap, tableOffset, tableSize }, bytes);
    return moves && oldBytes > 0 ? [{ host: bitmap.tableOffset, length: oldBytes }] : [];
  }

  /**
   * Makes the table as short as the disk needs it: QEMU reads no bitmap whose table is longer. One entry stays, since
   * it opens no image that has a table without. Returns the clusters that the table no longer uses.
   */
  *#shortenTable(entry: TrackedEntry): Steps<Freed[]> {
    const { clusterSize } = this.#structure.layer.geometry;
    if (!this.#shrinks) return [];
    const { bitmap, table } = entry.bits;
    const tableSize = Math.max(1, tableEntriesNeeded(this.#size, bitmap, clusterSize));
    if (tableSize >= bitmap.tableSize) return [];
    yield* this.#switchTable(entry, { ...bitmap, tableSize }, new Uint8Array(table.buffer, table.byteOffset));
    const kept = alignUp(tableSize * ENTRY_BYTES, clusterSize);
    const length = alignUp(bitmap.tableSize * ENTRY_BYTES, clusterSize) - kept;
    return length === 0 ? [] : [{ host: bitmap.tableOffset + kept, length }];
  }

  /** Makes the directory say how long a table is, which begins with `bytes` at the offset that the directory has. */
  *#switchTable(entry: TrackedEntry, bitmap: Bitmap, bytes: Uint8Array): Steps {
    const { state, layer } = this.#structure;
    const length = new Uint8Array(4);
    viewOf(length).setUint32(0, bitmap.tableSize);
    yield state.device.write([{ at: entry.at + BITMAP_TABLE_SIZE_AT, bytes: length }]);
    entry.bits.replaceTable(bitmap, viewOf(bytes.subarray(0, bitmap.tableSize * ENTRY_BYTES)));
    layer.bitmaps = layer.bitmaps.map((other, index) => (index === entry.index ? bitmap : other));
    state.header.bitmapsChanged();
  }
}

/**
 * The bitmaps that do not follow the guest's writes, and their tables. What is in use already is not valid anyway.
 *
 * @throws {@link Qcow2Error} `corrupt` when one of them is damaged.
 */
function otherBitmaps({ layer, state }: Structure, tables: readonly (DataView | null)[]): TrackedEntry[] {
  const { geometry, source, size } = layer;
  const { clusterSize } = geometry;
  const tracked = new Set(state.bitmaps?.entries.map(({ index }) => index));
  let { directoryOffset: at } = decodeBitmapsExtension(findExtension(layer.extensions, EXTENSION.bitmaps)!);
  const others: TrackedEntry[] = [];
  for (const [index, bitmap] of layer.bitmaps.entries()) {
    if (!tracked.has(index) && !hasBitmapFlag(bitmap, BITMAP_FLAG.inUse)) {
      const table = tables[index] ?? emptyTable(bitmap);
      for (let entry = 0; entry < bitmap.tableSize; entry++) getBitmapTableEntry(table, entry, clusterSize, bitmap);
      others.push({ index, at, bits: new TrackedBitmap({ bitmap, table, source, size, clusterSize }) });
    }
    at += bitmapEntryLength(bitmap);
  }
  return others;
}

/** The table of a bitmap of an empty disk. Any other bitmap without a table is damaged. */
function emptyTable({ name, tableOffset, tableSize }: Bitmap): DataView {
  if (tableSize === 0) return viewOf(new Uint8Array(0));
  const what = `table of bitmap "${decodeName(name)}"`;
  const message = `The ${what} cannot lie at ${hex(tableOffset)} with ${tableSize} entries.`;
  throw new Qcow2Error('corrupt', message, { what, at: tableOffset });
}
