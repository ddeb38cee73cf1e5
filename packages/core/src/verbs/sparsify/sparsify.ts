/** Releases the clusters of the active disk that contain only zeros. */
import type { SparsifyReport } from '../../api/info.js';
import type { OperationOptions } from '../../api/options.js';
import type { Range } from '../../api/range.js';
import { progressOf } from '../../engine/async/progress.js';
import type { Steps } from '../../engine/async/steps.js';
import { isBase } from '../../engine/layer/layer.js';
import { clusterMapping } from '../../engine/mapping/cluster-mapping.js';
import { planZero } from '../../engine/mapping/plan-zero.js';
import { readLayer } from '../../engine/read/execute.js';
import type { Structure } from '../../engine/write/structure.js';
import { writeBack } from '../../engine/write/write-back.js';
import type { Writer } from '../../engine/write/writer.js';
import { alignUp } from '../../format/bytes.js';
import { getL1Entry } from '../../format/entries.js';
import { l1IndexOf } from '../../format/geometry.js';
import { adjacentTransfers } from '../adjacent-transfers.js';
import { isZero } from '../zero-bytes.js';

/** Bytes of data that one slice reads. */
const SLICE_BYTES = 4 * 1024 * 1024;
/** L1 entries without a table that are passed in one slice. */
const ENTRIES_PER_SLICE = 65_536;

/**
 * Releases zeros, as `Disk.sparsify` describes.
 *
 * @throws {@link Qcow2Error} what reading and the device throw; the signal's reason when it aborts.
 */
export function sparsifyDisk(writer: Writer, options: OperationOptions = {}): Promise<SparsifyReport> {
  return writer.restructure(async (structure) => {
    const { layer, slice } = structure;
    const { geometry } = layer;
    if (layer.unreadable !== null) throw layer.unreadable;
    // A data file keeps its length, and version 2 has no entry that hides a backing file.
    const releasesNothing = geometry.externalData || (geometry.version === 2 && !isBase(layer));
    const progress = progressOf(options, 'sparsify', layer.size);
    // One for all slices: a new one for each makes the garbage collector run at nearly every slice.
    const buffer = new Uint8Array(Math.min(SLICE_BYTES, alignUp(layer.size, geometry.clusterSize)));
    let released = 0;
    for (let at = releasesNothing ? layer.size : 0; at < layer.size; progress(Math.min(at, layer.size))) {
      await slice(function* () {
        const next = yield* sparsifySlice(structure, at, buffer);
        released += next.released;
        at = next.at;
      });
    }
    await slice(() => writeBack(structure.state, 'flush'));
    return { released };
  }, options.signal);
}

/** Sparsifies from the guest offset `at` on, within one L2 table. Returns where to continue. */
function* sparsifySlice(structure: Structure, at: number, buffer: Uint8Array): Steps<{ at: number; released: number }> {
  const { layer, writes } = structure;
  const { geometry, tables } = layer;
  const index = l1IndexOf(geometry, at);
  const isShared = layer.snapshots.length > 0 && !getL1Entry(tables.l1, index).owned;
  if (!tables.has(index) || isShared) return { at: nextTable(structure, index) * geometry.bytesPerL2, released: 0 };
  const [table] = yield* writes.loadTables(index, index);
  const { stored, end } = storedClusters(structure, table!, at);
  if (stored.length === 0) return { at: end, released: 0 };
  const zeros = yield* zerosIn(structure, stored, buffer);
  let released = 0;
  if (zeros.length > 0) {
    yield* writes.mark();
    const owned = yield* writes.writableTables(index, index);
    const context = { geometry, base: isBase(layer), unmap: true };
    for (const { start, length } of zeros) {
      const { changes, freed } = planZero(context, index, owned[0]!, start, start + length);
      writes.apply(index, owned, changes, freed);
      for (const run of freed) released += run.length;
    }
  }
  return { at: end, released };
}

/** The next L1 entry with a table after `index`, as far as one slice goes. */
function nextTable({ layer }: Structure, index: number): number {
  const { tables } = layer;
  let next = index + 1;
  while (next < tables.l1Size && next - index < ENTRIES_PER_SLICE && !tables.has(next)) next++;
  return next < tables.l1Size ? next : Number.POSITIVE_INFINITY;
}

/** A guest cluster that is stored in this image, and nowhere else. */
interface StoredCluster {
  readonly start: number;
  /** A bit for each allocated subcluster; 0 for a compressed cluster, which has no subclusters. */
  readonly allocated: number;
}

/**
 * The clusters from `at` on that can be released, about as much as one slice reads, and where they end. A cluster that
 * a snapshot shares would not become free.
 */
function storedClusters({ layer }: Structure, table: DataView, at: number): { stored: StoredCluster[]; end: number } {
  const { geometry, size, snapshots } = layer;
  const { clusterSize, bytesPerL2 } = geometry;
  const stored: StoredCluster[] = [];
  const tableEnd = Math.min(size, (l1IndexOf(geometry, at) + 1) * bytesPerL2);
  let start = at;
  for (; start < tableEnd && stored.length * clusterSize < SLICE_BYTES; start += clusterSize) {
    const entry = Math.floor((start % bytesPerL2) / clusterSize);
    const { host, owned, allocated, stored: length } = clusterMapping(geometry, table, entry, start);
    const isAlone = length > 0 ? snapshots.length === 0 : owned;
    if (host !== null && isAlone) stored.push({ start, allocated: length > 0 ? 0 : allocated });
  }
  return { stored, end: start };
}

/** What reads as zeros of the clusters: whole ones, and allocated subclusters of others. */
function* zerosIn({ layer }: Structure, stored: readonly StoredCluster[], buffer: Uint8Array): Steps<Range[]> {
  const { subclusterSize, clusterSize } = layer.geometry;
  const bytes = buffer.subarray(0, stored.length * clusterSize);
  const offsets = stored.map(({ start }) => start);
  yield readLayer(layer, adjacentTransfers(offsets, clusterSize, bytes));
  const zeros: Range[] = [];
  for (const [index, { start, allocated }] of stored.entries()) {
    const at = index * clusterSize;
    if (isZero(bytes, at, at + clusterSize)) zeros.push({ start, length: clusterSize });
    else if (subclusterSize < clusterSize) {
      for (let from = 0; from < clusterSize; from += subclusterSize) {
        const isAllocated = ((allocated >>> (from / subclusterSize)) & 1) === 1;
        if (!isAllocated || !isZero(bytes, at + from, at + from + subclusterSize)) continue;
        zeros.push({ start: start + from, length: subclusterSize });
      }
    }
  }
  return zeros;
}
