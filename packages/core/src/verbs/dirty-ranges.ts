/** Reads persistent bitmaps: which ranges of the disk one marks. */

import type { Transfer } from '../api/device.js';
import type { OperationOptions } from '../api/options.js';
import type { Range } from '../api/range.js';
import { progressOf } from '../engine/async/progress.js';
import { yieldToEventLoop } from '../engine/async/yield-to-event-loop.js';
import type { Qcow2Layer } from '../engine/layer/layer.js';
import type { Writer } from '../engine/write/writer.js';
import { Qcow2Error, type Qcow2ErrorCode } from '../errors.js';
import { BITMAP_FLAG } from '../format/bitmap-flag.js';
import { findBit, getBitmapTableEntry } from '../format/bitmap-table.js';
import type { Bitmap } from '../format/bitmaps.js';
import { hex, viewOf } from '../format/bytes.js';
import { MAX_BITMAP_DATA_BYTES } from '../format/limits.js';
import { decodeName } from '../format/names.js';

const TABLE_ENTRY_BYTES = 8;
/** Bytes of bits that are read in one batch, so that few device calls serve many clusters. */
const READ_BYTES = 1024 * 1024;
/** The most table entries of a batch, however few of them have bits to read. */
const READ_ENTRIES = 65_536;
/** The most ranges of a batch: a cluster of bits can mark millions. */
const BATCH_RANGES = 4096;

/**
 * The ranges that the bitmap of this name marks, in batches, adjacent ones merged, clipped to the disk. Those of an
 * image that is open for writing are stored first. `alive` throws when the image is no longer open.
 *
 * @throws {@link Qcow2Error} `not-found`, `corrupt`, `unsupported`, and what the source throws; the signal's reason
 *   when it aborts.
 */
export async function* dirtyBatches(
  { layer, write }: { readonly layer: Qcow2Layer; readonly write: { readonly writer: Writer } | null },
  name: string,
  alive: () => void,
  options?: OperationOptions,
): AsyncGenerator<Range[], void, undefined> {
  await write?.writer.storeBitmaps();
  const signal = options?.signal;
  const { lock } = layer;
  // While the image is written its bits change on the medium, and a change may remove the bitmap. So all bits are read
  // first.
  const bits = await (lock === null
    ? BitmapBits.open(layer, name, signal)
    : lock.reading(async () => (await BitmapBits.open(layer, name, signal)).readAll(signal), signal));
  const { bitmap } = bits;
  const progress = progressOf(options, 'dirty', layer.size);
  const yieldIfDue = yieldToEventLoop();
  const ranges = new RangeList(2 ** bitmap.granularityBits, layer.size);
  for (let index = 0; index < bits.count; ) {
    await yieldIfDue();
    signal?.throwIfAborted();
    alive();
    for (const entry of await bits.next(index, signal)) {
      yield* entry === 'clear' ? [] : ranges.add(index, layer.geometry.clusterSize * 8, entry);
      index++;
    }
    progress(Math.min(layer.size, index * bytesPerEntry(layer, bitmap)));
  }
  if (ranges.ranges.length > 0) yield ranges.ranges;
}
type EntryBits = 'clear' | 'set' | Uint8Array;

/** The bits of one bitmap, a cluster of them for each entry of its table. */
class BitmapBits {
  readonly bitmap: Bitmap;
  /** The number of table entries that the disk needs. */
  readonly count: number;
  readonly #layer: Qcow2Layer;
  readonly #table: DataView;
  /** All bits, once {@link readAll} has read them. */
  #all: readonly EntryBits[] | null = null;

  private constructor(layer: Qcow2Layer, bitmap: Bitmap, count: number, table: DataView) {
    this.#layer = layer;
    this.bitmap = bitmap;
    this.count = count;
    this.#table = table;
  }

  /** Finds the bitmap, checks it, and reads its table. */
  static async open(layer: Qcow2Layer, name: string, signal: AbortSignal | undefined): Promise<BitmapBits> {
    const bitmap = find(layer.bitmaps, name);
    const count = validate(layer, bitmap, name);
    const table = new Uint8Array(count * TABLE_ENTRY_BYTES);
    if (table.length > 0) await layer.source.read([{ at: bitmap.tableOffset, bytes: table }], signal);
    return new BitmapBits(layer, bitmap, count, viewOf(table));
  }

  /** Reads all bits, 512 MiB at the most; later changes do not show. */
  async readAll(signal: AbortSignal | undefined): Promise<this> {
    const all: EntryBits[] = [];
    const yieldIfDue = yieldToEventLoop();
    while (all.length < this.count) {
      await yieldIfDue();
      signal?.throwIfAborted();
      for (const entry of await this.next(all.length, signal)) all.push(entry);
    }
    this.#all = all;
    return this;
  }

  /** A batch of entries, from `first` on. */
  async next(first: number, signal: AbortSignal | undefined): Promise<readonly EntryBits[]> {
    if (this.#all === null) return readEntries(this.#layer, this.#table, first, this.count, this.bitmap, signal);
    const step = Math.max(1, READ_BYTES / this.#layer.geometry.clusterSize);
    return this.#all.slice(first, first + step);
  }
}

/** Guest bytes that one cluster of bits covers. */
function bytesPerEntry({ geometry }: Qcow2Layer, { granularityBits }: Bitmap): number {
  return geometry.clusterSize * 8 * 2 ** granularityBits;
}

function find(bitmaps: readonly Bitmap[], name: string): Bitmap {
  const found = bitmaps.find((bitmap) => decodeName(bitmap.name) === name);
  if (found !== undefined) return found;
  throw new Qcow2Error('not-found', `The image has no bitmap "${name}".`, { what: 'bitmap', name });
}

/** Checks that the bitmap is valid, before memory is allocated for it. Returns the number of entries to read. */
function validate(layer: Qcow2Layer, bitmap: Bitmap, name: string): number {
  const { geometry, source, size } = layer;
  const { tableOffset: at, tableSize, flags, extra } = bitmap;
  const refuse = (code: Qcow2ErrorCode, finding: string): never => {
    throw new Qcow2Error(code, `The bitmap "${name}" ${finding}.`, { what: `bitmap "${name}"`, at });
  };
  const has = (flag: number) => ((flags >>> flag) & 1) !== 0;
  if (has(BITMAP_FLAG.inUse)) {
    refuse('corrupt', 'is marked in-use: it was not saved when the image was last written, and may miss changes');
  }
  if (extra.length > 0 && !has(BITMAP_FLAG.extraDataCompatible)) {
    refuse('unsupported', 'has extra data without which it must not be read');
  }
  if (at % geometry.clusterSize !== 0)
    refuse('corrupt', `has its table at ${hex(at)}, no multiple of the cluster size`);
  if (tableSize * geometry.clusterSize > MAX_BITMAP_DATA_BYTES) {
    refuse('unsupported', `has a table of ${tableSize} entries; the maximum is 512 MiB of bits`);
  }
  const needed = Math.ceil(size / bytesPerEntry(layer, bitmap));
  if (tableSize < needed) refuse('corrupt', `has a table of ${tableSize} entries; the disk needs ${needed}`);
  if (at === 0 || at + tableSize * TABLE_ENTRY_BYTES > source.size) {
    refuse('corrupt', `has its table at ${hex(at)}, which is not inside the file (${hex(source.size)})`);
  }
  return needed;
}

/** The next entries from `first` on, with the bits of those that have a cluster, read in one batch. */
async function readEntries(
  layer: Qcow2Layer,
  table: DataView,
  first: number,
  end: number,
  bitmap: Bitmap,
  signal: AbortSignal | undefined,
): Promise<EntryBits[]> {
  const { clusterSize } = layer.geometry;
  const read: EntryBits[] = [];
  const transfers: Transfer[] = [];
  const until = Math.min(end, first + READ_ENTRIES);
  for (let index = first; index < until && transfers.length * clusterSize < READ_BYTES; index++) {
    const entry = getBitmapTableEntry(table, index, clusterSize, bitmap);
    if (typeof entry === 'string') {
      read.push(entry);
      continue;
    }
    if (entry.offset >= layer.source.size) {
      const name = decodeName(bitmap.name);
      const message = `The bitmap "${name}" has bits at ${hex(entry.offset)}, past the end of the file.`;
      throw new Qcow2Error('corrupt', message, { what: `data of bitmap "${name}"`, at: entry.offset });
    }
    const bytes = new Uint8Array(clusterSize);
    transfers.push({ at: entry.offset, bytes });
    read.push(bytes);
  }
  if (transfers.length > 0) await layer.source.read(transfers, signal);
  return read;
}

/** Collects ranges. A range that touches the last one extends it, so the last one stays in `held`. */
class RangeList {
  ranges: { start: number; length: number }[] = [];
  readonly #granularity: number;
  readonly #size: number;

  constructor(granularity: number, size: number) {
    this.#granularity = granularity;
    this.#size = size;
  }

  /** Adds the set bits of one entry, of `bits` bits; yields full batches. */
  *add(index: number, bits: number, entry: 'set' | Uint8Array): Generator<Range[], void, undefined> {
    const first = index * bits;
    const end = Math.min(bits, Math.ceil(this.#size / this.#granularity) - first);
    if (entry === 'set') {
      this.#mark(first, first + end);
      return;
    }
    for (let at = findBit(entry, 0, end, true); at < end; ) {
      const next = findBit(entry, at, end, false);
      this.#mark(first + at, first + next);
      if (this.ranges.length > BATCH_RANGES) {
        const last = this.ranges.pop()!;
        yield this.ranges;
        this.ranges = [last];
      }
      at = findBit(entry, next, end, true);
    }
  }

  #mark(from: number, to: number): void {
    const start = from * this.#granularity;
    const end = Math.min(to * this.#granularity, this.#size);
    const last = this.ranges.at(-1);
    if (last !== undefined && last.start + last.length === start) last.length = end - last.start;
    else this.ranges.push({ start, length: end - start });
  }
}
