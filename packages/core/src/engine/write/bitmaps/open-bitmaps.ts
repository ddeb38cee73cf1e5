/**
 * Opens an image's bitmaps for writing: enters their clusters as metadata, and prepares the tracking of those that
 * every change must update. If one of these cannot be updated, all bitmaps will be removed (spec: "Bitmaps").
 */
import { Qcow2Error } from '../../../errors.js';
import { BITMAP_FLAG } from '../../../format/bitmap-flag.js';
import { decodeBitmapTableEntry, tableEntriesNeeded } from '../../../format/bitmap-table.js';
import { type Bitmap, bitmapEntryLength, hasBitmapFlag } from '../../../format/bitmaps.js';
import { decodeBitmapsExtension } from '../../../format/bitmaps-extension.js';
import { alignUp, viewOf } from '../../../format/bytes.js';
import { EXTENSION, findExtension } from '../../../format/extensions.js';
import { MAX_BITMAP_DATA_BYTES, MAX_L1_BYTES } from '../../../format/limits.js';
import type { MetadataKind, MetadataMap } from '../../allocation/metadata-map.js';
import type { Qcow2Layer } from '../../layer/layer.js';
import type { Freed } from '../../mapping/cluster-mapping.js';
import { TrackedBitmap } from './tracked-bitmap.js';
import { TrackedBitmaps, type TrackedEntry } from './tracked-bitmaps.js';
import { UntrackedBitmaps } from './untracked-bitmaps.js';

const TABLE_ENTRY_BYTES = 8;
/** Most bytes for the tables of all bitmaps: as much as the largest L1 table. */
const MAX_TABLES_BYTES = MAX_L1_BYTES;

/** The bitmaps of an image that is written: at most one of the two is not null. */
export interface OpenedBitmaps {
  readonly tracked: TrackedBitmaps | null;
  readonly untracked: UntrackedBitmaps | null;
}

/**
 * Opens the bitmaps of an image that has some. Nothing is written.
 *
 * @throws {@link Qcow2Error} `unsupported` when their tables are too large, and what the source throws.
 */
export async function openBitmaps(
  layer: Qcow2Layer,
  metadata: MetadataMap,
  signal: AbortSignal | undefined,
): Promise<OpenedBitmaps> {
  const { directoryOffset, directorySize } = decodeBitmapsExtension(
    findExtension(layer.extensions, EXTENSION.bitmaps)!,
  );
  const claims = new Claims(metadata, layer.geometry.clusterSize);
  let sound = claims.take([{ kind: 'bitmap directory', at: directoryOffset, length: directorySize }]);
  const tables = await readBitmapTables(layer, signal);
  const tracked: TrackedEntry[] = [];
  let at = directoryOffset;
  layer.bitmaps.forEach((bitmap, index) => {
    const table = tables[index]!;
    const allFree = table !== null && claims.take(metadataRuns(layer, bitmap, table));
    if (follows(bitmap)) {
      if (allFree && canBeKept(layer, bitmap)) tracked.push({ index, at, bits: trackedBitmap(layer, bitmap, table) });
      else sound = false;
    }
    at += bitmapEntryLength(bitmap);
  });
  if (layer.bitmaps.some(isForeign)) sound = false;
  if (sound)
    return { tracked: tracked.length === 0 ? null : new TrackedBitmaps(layer, tracked, metadata), untracked: null };
  return { tracked: null, untracked: new UntrackedBitmaps(layer, claims.taken) };
}

/** True if every change must update it, and every change so far has. */
function follows(bitmap: Bitmap): boolean {
  return hasBitmapFlag(bitmap, BITMAP_FLAG.auto) && !hasBitmapFlag(bitmap, BITMAP_FLAG.inUse);
}

/** True if it has unknown flags. */
function isForeign({ flags }: Bitmap): boolean {
  const known = Object.values(BITMAP_FLAG).reduce<number>((mask, flag) => mask | (1 << flag), 0);
  return (flags & ~known) !== 0;
}

function canBeKept({ size, geometry }: Qcow2Layer, bitmap: Bitmap): boolean {
  const readable = bitmap.extra.length === 0 || hasBitmapFlag(bitmap, BITMAP_FLAG.extraDataCompatible);
  return readable && bitmap.tableSize >= tableEntriesNeeded(size, bitmap, geometry.clusterSize);
}

function trackedBitmap({ size, geometry, source }: Qcow2Layer, bitmap: Bitmap, table: DataView): TrackedBitmap {
  return new TrackedBitmap({ bitmap, table, source, size, clusterSize: geometry.clusterSize });
}

/**
 * The tables of all bitmaps, read in one batch; null for one with an invalid offset or size.
 *
 * @throws {@link Qcow2Error} `unsupported` when they are too large, and what the source throws.
 */
export async function readBitmapTables(
  { bitmaps, geometry, source }: Qcow2Layer,
  signal: AbortSignal | undefined,
): Promise<(DataView | null)[]> {
  const ranges = bitmaps.map(({ tableOffset: at, tableSize }) => {
    const length = tableSize * TABLE_ENTRY_BYTES;
    const inside = at > 0 && at % geometry.clusterSize === 0 && at + length <= source.size;
    return inside && length > 0 && tableSize * geometry.clusterSize <= MAX_BITMAP_DATA_BYTES ? { at, length } : null;
  });
  const total = ranges.reduce((sum, range) => sum + (range?.length ?? 0), 0);
  if (total > MAX_TABLES_BYTES) {
    const message = `The tables of the bitmaps take ${total} bytes; to write the image they may take 32 MiB.`;
    throw new Qcow2Error('unsupported', message, { what: 'bitmap tables' });
  }
  const transfers = ranges.map((range) => range && { at: range.at, bytes: new Uint8Array(range.length) });
  await source.read(
    transfers.filter((transfer) => transfer !== null),
    signal,
  );
  return transfers.map((transfer) => transfer && viewOf(transfer.bytes));
}

/** A run of clusters that a bitmap refers to; in bytes. */
interface MetadataRun {
  readonly kind: MetadataKind;
  readonly at: number;
  readonly length: number;
}

/**
 * The clusters of a bitmap's table and bits; null for an invalid table entry, or one that points past the end of the
 * file.
 */
function* metadataRuns(
  { geometry, source }: Qcow2Layer,
  bitmap: Bitmap,
  table: DataView,
): Generator<MetadataRun | null> {
  const { clusterSize } = geometry;
  yield { kind: 'bitmap table', at: bitmap.tableOffset, length: table.byteLength };
  for (let index = 0; index < table.byteLength / TABLE_ENTRY_BYTES; index++) {
    const entry = decodeBitmapTableEntry(table, index, clusterSize);
    if (typeof entry === 'string') continue;
    const inside = 'offset' in entry && entry.offset < source.size;
    yield inside ? { kind: 'bitmap data', at: entry.offset, length: clusterSize } : null;
  }
}

/** The clusters of the bitmaps. Each belongs to the first bitmap that refers to it. */
class Claims {
  readonly taken: { host: number; length: number }[] = [];
  readonly #metadata: MetadataMap;
  readonly #clusterSize: number;

  constructor(metadata: MetadataMap, clusterSize: number) {
    this.#metadata = metadata;
    this.#clusterSize = clusterSize;
  }

  /** Enters runs as metadata. If one of them is null, or already in use, enters none and returns false. */
  take(runs: Iterable<MetadataRun | null>): boolean {
    const before = this.taken.length;
    for (const run of runs) {
      if (run === null || !this.#free(run)) {
        for (const entered of this.taken.splice(before)) this.#release(entered);
        return false;
      }
      const { kind, at, length } = run;
      this.#metadata.add(kind, at, length);
      const last = this.taken.length > before ? this.taken.at(-1)! : null;
      if (last !== null && last.host + alignUp(last.length, this.#clusterSize) === at)
        last.length = at + length - last.host;
      else this.taken.push({ host: at, length });
    }
    return true;
  }

  #free({ at, length }: MetadataRun): boolean {
    for (let cluster = at / this.#clusterSize; cluster * this.#clusterSize < at + length; cluster++) {
      if (this.#metadata.kindOf(cluster) !== undefined) return false;
    }
    return true;
  }

  #release({ host, length }: Freed): void {
    for (let cluster = host / this.#clusterSize; cluster * this.#clusterSize < host + length; cluster++) {
      this.#metadata.delete(cluster);
    }
  }
}
