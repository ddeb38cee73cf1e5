/**
 * Grows a disk. The L1 table becomes long enough first; then all that is mapped past the end of the disk is unmapped,
 * and what a longer backing file would show there becomes zeros. Only then does the header get the new size, in one
 * write of its sector.
 */
import type { Steps } from '../../engine/async/steps.js';
import { isBase } from '../../engine/layer/layer.js';
import { growL1Table } from '../../engine/write/active-l1.js';
import { flushes } from '../../engine/write/flushes.js';
import type { Structure } from '../../engine/write/structure.js';
import { writeBack } from '../../engine/write/write-back.js';
import { alignUp } from '../../format/bytes.js';
import { l1EntriesFor } from '../../format/geometry.js';
import type { ResizedBitmaps } from './resized-bitmaps.js';
import { switchSize } from './switch-size.js';
import { unmapPastEnd } from './unmap-past-end.js';

/** Grows the disk to `size` bytes. `progress` takes how many of the added bytes are done. */
export async function growDisk(
  structure: Structure,
  bitmaps: ResizedBitmaps,
  size: number,
  progress: (done: number) => void,
): Promise<void> {
  const { layer, state, writes, slice } = structure;
  const from = layer.size;
  await slice(function* () {
    yield* writes.mark();
    yield* growL1Table({ layer, state }, l1EntriesFor(layer.geometry, size));
  });
  await unmapPastEnd(structure, from);
  await zeroOverBacking(structure, from, size, progress);
  await slice(() => finish(structure, bitmaps, size));
  progress(size - from);
}

/** Turns what would be read past the end of the disk into zeros: the tail of the last cluster, and the backing file. */
async function zeroOverBacking(
  { layer, zeros, slice }: Structure,
  from: number,
  size: number,
  progress: (done: number) => void,
): Promise<void> {
  // A raw data file is cut at the end of the disk, and read without the tables.
  if (layer.rawData) return;
  const { clusterSize } = layer.geometry;
  const backingSize = isBase(layer) ? 0 : layer.backing!.layer.size;
  const end = Math.max(alignUp(from, clusterSize), alignUp(Math.min(size, backingSize), clusterSize));
  // Bitmaps mark what the guest has written.
  for (const rest = { at: from, tracked: true }; rest.at < end; ) {
    await slice(() => zeros.next(rest, end, true));
    progress(Math.min(rest.at, size) - from);
  }
}

/** Brings everything to the medium, resizes the data file, and then changes the size. */
function* finish(structure: Structure, bitmaps: ResizedBitmaps, size: number): Steps {
  const { layer, state } = structure;
  const { device, data } = state;
  yield* writeBack(state, 'bitmaps');
  if (data !== null && data !== device) {
    // What it contains past the end of the disk must not be read as the guest's.
    if (data.size > layer.size) yield data.truncate(layer.size);
    yield data.truncate(size);
    yield flushes.dataFileResized(state);
  }
  yield* switchSize(structure, bitmaps, size);
}
