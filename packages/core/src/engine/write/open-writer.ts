/** Opens the writer of an image: reads and checks what writing needs beyond reading, and enters the metadata. */

import type { BlockDevice, Transfer } from '../../api/device.js';
import { Qcow2Error } from '../../errors.js';
import { hex, viewOf } from '../../format/bytes.js';
import { l2TableOffset } from '../../format/entries.js';
import { COMPATIBLE, INCOMPATIBLE } from '../../format/header.js';
import { HEADER_SECTOR_BYTES } from '../../format/header-fields.js';
import { MAX_L1_BYTES } from '../../format/limits.js';
import { encodeSnapshots } from '../../format/snapshots.js';
import { SpaceAllocator } from '../allocation/allocator.js';
import { DirtyRanges } from '../allocation/dirty-ranges.js';
import { MetadataMap } from '../allocation/metadata-map.js';
import { Refcounts } from '../allocation/refcounts.js';
import type { RwLock } from '../async/rw-lock.js';
import type { Steps } from '../async/steps.js';
import type { Qcow2Layer } from '../layer/layer.js';
import { WatchedBacking } from '../read/watched-backing.js';
import type { OpenedBitmaps } from './bitmaps/open-bitmaps.js';
import { DirtyTables } from './dirty-tables.js';
import { Lifecycle } from './lifecycle.js';
import { TrackedDevice } from './tracked-device.js';
import type { WriteState } from './write-state.js';
import type { WriteBudgets } from './write-steps.js';
import { Writer } from './writer.js';
import { WrittenHeader } from './written-header.js';
import { WrittenTables } from './written-tables.js';

/** What the writer of an image is made of. */
export interface WriterParts {
  readonly layer: Qcow2Layer;
  readonly device: BlockDevice;
  /** The external data file, when the image has one and it was opened. */
  readonly data: BlockDevice | null;
  readonly lock: RwLock;
  readonly budgets: WriteBudgets;
}

/**
 * Makes the writer of an opened image. Nothing is written yet.
 *
 * @throws {@link Qcow2Error} `needs-repair` when the image is marked dirty or corrupt, `corrupt` when its refcount
 *   table or the tables of its snapshots are invalid, and what the device throws.
 */
export async function openWriter(
  { layer, device, data, lock, budgets }: WriterParts,
  signal?: AbortSignal,
): Promise<Writer> {
  const { header, geometry, source } = layer;
  refuseMarked(layer);
  const sector = new Uint8Array(HEADER_SECTOR_BYTES);
  const { refcountTableOffset: at, refcountTableClusters: clusters } = header;
  if (at >= source.size) {
    const message = `The refcount table should be at ${hex(at)}, but the file ends at ${hex(source.size)}.`;
    throw new Qcow2Error('corrupt', message, { what: 'refcount table', at });
  }
  const table = new Uint8Array(clusters * geometry.clusterSize);
  await source.read(
    [
      { at: 0, bytes: sector },
      { at, bytes: table },
    ],
    signal,
  );
  const lifecycle = new Lifecycle();
  const metadata = new MetadataMap(geometry.clusterSize, (error) => lifecycle.foundInconsistent(error));
  const refcounts = new Refcounts(
    geometry.clusterSize,
    header.refcountOrder,
    viewOf(table),
    { at, clusters },
    metadata,
  );
  enterMetadata(layer, refcounts, metadata);
  const { tracked, untracked } = await bitmapsOf(layer, metadata, signal);
  const written = new TrackedDevice(device, layer.counters, lifecycle);
  const cache = new WrittenTables(layer.tables.parts);
  layer.tables = cache;
  const state: WriteState = {
    geometry,
    device: written,
    data: geometry.externalData
      ? data && new TrackedDevice(data, layer.counters, lifecycle, layer.dataReference)
      : written,
    lifecycle,
    header: new WrittenHeader(layer, viewOf(sector)),
    get l1() {
      return cache.l1;
    },
    l1At: header.l1TableOffset,
    dirtyL1: new DirtyRanges(),
    cache,
    tables: new DirtyTables(geometry, cache),
    words: [],
    refcounts,
    space: new SpaceAllocator(refcounts, metadata, () => layer.snapshots.length > 0),
    metadata,
    bitmaps: tracked,
    untracked,
    lazy: header.compatibleFeatures.includes(COMPATIBLE.lazyRefcounts),
    maxBlocks: Math.max(4, Math.floor(budgets.refcountBytes / geometry.clusterSize)),
    loadBlocks: (indexes) => loadBlocks(layer, { refcounts, metadata }, indexes),
  };
  const bases = layer.backing && new WatchedBacking(layer.backing);
  layer.backing = bases;
  return new Writer(layer, state, lock, budgets, bases);
}

/** Loaded on demand: most images have no bitmaps. */
async function bitmapsOf(layer: Qcow2Layer, metadata: MetadataMap, signal?: AbortSignal): Promise<OpenedBitmaps> {
  if (layer.bitmaps.length === 0) return { tracked: null, untracked: null };
  const { openBitmaps } = await import('./bitmaps/open-bitmaps.js');
  return openBitmaps(layer, metadata, signal);
}

function refuseMarked({ header }: Qcow2Layer): void {
  const { dirty, corrupt } = INCOMPATIBLE;
  for (const [bit, how] of [
    [corrupt, 'marked corrupt: a writer found that it contradicts itself'],
    [dirty, 'marked dirty: it was not closed, and its refcounts may be wrong'],
  ] as const) {
    if (!header.incompatibleFeatures.includes(bit)) continue;
    const message = `The image is ${how}. Repair it before it is written to.`;
    throw new Qcow2Error('needs-repair', message, { what: 'incompatible_features', at: 72, bit });
  }
}

/** Enters the ranges of the metadata, which nothing else may overwrite. */
function enterMetadata(layer: Qcow2Layer, refcounts: Refcounts, metadata: MetadataMap): void {
  const { header, geometry, source, tables } = layer;
  const { clusterSize } = geometry;
  metadata.add('header', 0, clusterSize);
  metadata.add('refcount table', refcounts.location.at, refcounts.table.byteLength);
  for (let index = 0; index < refcounts.table.byteLength / 8; index++) {
    const at = refcounts.blockOffset(index);
    if (at === 0) continue;
    // Once the file has grown that far, other data could be at this offset.
    if (at >= source.size) throw blockPastEnd(index, at, source.size);
    metadata.add('refcount block', at, clusterSize);
  }
  if (header.l1Size > 0) metadata.add('L1 table', header.l1TableOffset, header.l1Size * 8);
  for (let index = 0; index < header.l1Size; index++) {
    const at = l2TableOffset(tables.l1, index);
    if (at !== 0) metadata.add('L2 table', at, clusterSize);
  }
  if (header.snapshotCount === 0) return;
  metadata.add('snapshot table', header.snapshotsOffset, encodeSnapshots(layer.snapshots).length);
  let bytes = 0;
  layer.snapshots.forEach(({ l1TableOffset: at, l1Size }, index) => {
    bytes += l1Size * 8;
    // Together they cannot be longer than the file, unless they overlap. The limit also bounds this loop.
    if (l1Size * 8 > MAX_L1_BYTES || bytes > source.size || at >= source.size) {
      const message = `The L1 table of snapshot ${index} cannot lie at ${hex(at)} with ${l1Size} entries.`;
      throw new Qcow2Error('corrupt', message, { what: `L1 table of snapshot ${index}`, at });
    }
    if (l1Size > 0) metadata.add("snapshot's L1 table", at, l1Size * 8);
  });
}

function blockPastEnd(index: number, at: number, end: number): Qcow2Error {
  const message = `Refcount block ${index} should be at ${hex(at)}, but the file ends at ${hex(end)}.`;
  return new Qcow2Error('corrupt', message, { what: `refcount block ${index}`, at });
}

/** Reads refcount blocks in one batch. */
function* loadBlocks(
  { source, geometry }: Qcow2Layer,
  { refcounts, metadata }: Pick<WriteState, 'refcounts' | 'metadata'>,
  indexes: readonly number[],
): Steps {
  const blocks = indexes.map((index) => {
    const at = refcounts.blockOffset(index);
    // A block that overlaps other metadata is invalid: clusters that it counts as free may be in use.
    metadata.refuseOverlap('refcount block', at, geometry.clusterSize);
    return { index, at, bytes: new Uint8Array(geometry.clusterSize) };
  });
  yield source.read(blocks.map(({ at, bytes }): Transfer => ({ at, bytes })));
  for (const { index, bytes } of blocks) refcounts.adopt(index, viewOf(bytes));
}
