/** Changes the size of a disk. */
import type { ResizeOptions } from '../../api/options.js';
import { progressOf } from '../../engine/async/progress.js';
import { isBase } from '../../engine/layer/layer.js';
import type { Structure } from '../../engine/write/structure.js';
import { writeBack } from '../../engine/write/write-back.js';
import type { Writer } from '../../engine/write/writer.js';
import { Qcow2Error } from '../../errors.js';
import { l1EntriesFor } from '../../format/geometry.js';
import { MAX_L1_BYTES } from '../../format/limits.js';
import { decodeSnapshotExtra } from '../../format/snapshot-extra.js';
import { requireSize } from '../create/create-plan.js';
import { requireResize } from '../verb-arguments.js';
import { growDisk } from './grow.js';
import { ResizedBitmaps } from './resized-bitmaps.js';
import { giveUpCut, shrinkDisk } from './shrink.js';
import { unmapPastEnd } from './unmap-past-end.js';

/**
 * Resizes the disk to `size` bytes, rounded up to whole sectors, as `Disk.resize` describes.
 *
 * @throws RangeError for an invalid size, or a smaller one without `shrink`; {@link Qcow2Error} `unsupported`,
 *   `reference-refused`, and what the files throw; the signal's reason when it aborts.
 */
export function resizeDisk(writer: Writer, size: number, options: ResizeOptions = {}): Promise<void> {
  requireResize(size, options);
  const rounded = requireSize(size);
  let grows = false;
  const resizing = writer.restructure(async (structure) => {
    const { layer } = structure;
    const { shrink = false } = options;
    // A shrinking that was interrupted is completed.
    if (rounded === layer.size && !shrink) return structure.slice(() => writeBack(structure.state, 'flush'));
    refuseUnsupported(structure, rounded, shrink);
    if (rounded === layer.size) return giveUpCut(structure, rounded);
    const bitmaps = await ResizedBitmaps.open(structure, rounded);
    const progress = progressOf(options, 'resize', Math.abs(rounded - layer.size));
    grows = rounded > layer.size;
    if (grows) await growDisk(structure, bitmaps, rounded, progress);
    else await shrinkDisk(structure, bitmaps, rounded, progress);
  }, options.signal);
  return resizing.catch(async (error: unknown) => {
    // What it has written past the end, where a longer backing file would show. A failed image keeps it.
    const cleared = grows
      ? writer.restructure((structure) => unmapPastEnd(structure, structure.layer.size), undefined)
      : null;
    await cleared?.catch(() => {});
    throw error;
  });
}

/** Refuses what cannot be done, before anything is changed. */
function refuseUnsupported({ layer, writes }: Structure, size: number, shrink: boolean): void {
  const { geometry } = layer;
  if (size < layer.size && !shrink) {
    const lost = `The disk is ${layer.size} bytes long; at ${size} bytes its end would be lost.`;
    throw new RangeError(`${lost} Set shrink to allow it.`);
  }
  if (l1EntriesFor(geometry, size) * 8 > MAX_L1_BYTES) {
    throw new RangeError(`A disk of ${size} bytes is too large for clusters of ${geometry.clusterSize}.`);
  }
  const hasOwnSize = layer.snapshots.every(({ extra }) => decodeSnapshotExtra(extra).diskSize !== undefined);
  if (!hasOwnSize || (geometry.version === 2 && layer.snapshots.length > 0)) {
    const message = 'An image cannot be resized that has snapshots without a size of their own, as in version 2.';
    throw new Qcow2Error('unsupported', message, { what: 'snapshot table', at: layer.header.snapshotsOffset });
  }
  writes.target();
  if (size === layer.size) return;
  const { backingReference, backing } = layer;
  if (size < layer.size || isBase(layer) || backing !== null) return;
  const { name, depth } = backingReference!;
  // It may be longer than the disk, and must not show through.
  const message = `The disk cannot grow without its backing file "${name}", which was not provided.`;
  throw new Qcow2Error('reference-refused', message, { what: 'backing file', name, depth });
}
