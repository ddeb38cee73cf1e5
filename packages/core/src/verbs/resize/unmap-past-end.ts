/** Gives up what the active L1 table maps past the end of the disk: what was cut, and old machine state. */
import type { Structure } from '../../engine/write/structure.js';
import { alignUp } from '../../format/bytes.js';
import { l1IndexOf } from '../../format/geometry.js';

/** L1 entries without a table that are passed in one slice. */
const ENTRIES_PER_SLICE = 65_536;

/**
 * Unmaps every cluster from `end`, the end of the disk in bytes, on. `progress` takes the guest offset up to which
 * that is done.
 */
export async function unmapPastEnd(
  { layer, writes, slice }: Structure,
  end: number,
  progress: (end: number) => void = () => {},
): Promise<void> {
  const { geometry, tables } = layer;
  const start = alignUp(end, geometry.clusterSize);
  for (let index = l1IndexOf(geometry, start); index < tables.l1Size; ) {
    await slice(function* () {
      const limit = Math.min(tables.l1Size, index + ENTRIES_PER_SLICE);
      while (index < limit && !tables.has(index)) index++;
      if (index === limit) return;
      yield* writes.mark();
      yield* writes.unmapFrom(index, Math.max(start, index * geometry.bytesPerL2));
      index++;
    });
    progress(index * geometry.bytesPerL2);
  }
}
