/**
 * Shrinks a disk. The header gets the new size first, in one write of its sector: until that is on the medium, nothing
 * of the old disk is touched. Then what was cut is given up.
 */
import type { Steps } from '../../engine/async/steps.js';
import { cutL1Table } from '../../engine/write/active-l1.js';
import { cutFileEnd } from '../../engine/write/file-end.js';
import { flushes } from '../../engine/write/flushes.js';
import type { Structure } from '../../engine/write/structure.js';
import { writeBack } from '../../engine/write/write-back.js';
import { alignUp } from '../../format/bytes.js';
import { l1EntriesFor } from '../../format/geometry.js';
import type { ResizedBitmaps } from './resized-bitmaps.js';
import { switchSize } from './switch-size.js';
import { unmapPastEnd } from './unmap-past-end.js';

/** Shrinks the disk to `size` bytes. `progress` takes how many of the bytes that are cut are done. */
export async function shrinkDisk(
  structure: Structure,
  bitmaps: ResizedBitmaps,
  size: number,
  progress: (done: number) => void,
): Promise<void> {
  const { layer, state, writes, slice } = structure;
  const cut = layer.size - size;
  await slice(function* () {
    yield* writes.mark();
    yield* writeBack(state, 'bitmaps');
    yield* switchSize(structure, bitmaps, size);
  });
  await giveUpCut(structure, size, (end) => progress(Math.min(cut, end - size)));
  progress(cut);
}

/**
 * Gives up what the disk contained past its end, `size`, whose header has that size already: also after a shrinking
 * that was interrupted. `progress` takes the guest offset up to which that is done.
 */
export async function giveUpCut(
  structure: Structure,
  size: number,
  progress: (end: number) => void = () => {},
): Promise<void> {
  const { layer, state, slice, writes } = structure;
  await zeroTail(structure, size);
  await unmapPastEnd(structure, size, progress);
  await slice(function* () {
    const entries = l1EntriesFor(layer.geometry, size);
    if (entries < layer.header.l1Size) yield* writes.mark();
    yield* cutL1Table({ layer, state }, entries);
    yield* writeBack(state, 'flush');
    yield* cutDataFile(structure, size);
    yield* cutFileEnd(state);
  });
}

/** Zeroes what the last cluster contains past the end of the disk: another program may grow the disk without that. */
async function zeroTail({ layer, zeros, writes, slice }: Structure, size: number): Promise<void> {
  const { clusterSize } = layer.geometry;
  const end = alignUp(size, clusterSize);
  for (const rest = { at: size, tracked: true }; rest.at < end && !layer.rawData; ) {
    await slice(function* () {
      if (yield* writes.isStored(rest.at)) yield* zeros.next(rest, end, true);
      else rest.at = end;
    });
  }
}

function* cutDataFile({ state }: Structure, size: number): Steps {
  const { device, data } = state;
  if (data === null || data === device || data.size <= size) return;
  yield data.truncate(size);
  yield flushes.dataFileResized(state);
}
