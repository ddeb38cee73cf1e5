/** Changes the size of a disk. */
import type { Steps } from '../../engine/async/steps.js';
import { flushes } from '../../engine/write/flushes.js';
import type { Structure } from '../../engine/write/structure.js';
import { setDiskSize } from '../../format/header-fields.js';
import type { ResizedBitmaps } from './resized-bitmaps.js';

/**
 * Gives the header the new size, in one write of its sector, and then every bitmap its bits. Everything must be written
 * back, bitmaps too, and the change must have been announced. All that is read is read before the header changes.
 */
export function* switchSize({ state }: Structure, bitmaps: ResizedBitmaps, size: number): Steps {
  yield* bitmaps.prepare();
  yield* bitmaps.markInUse();
  const header = state.header.change((sector) => setDiskSize(sector, size));
  if (header !== null) yield state.device.write([header]);
  yield flushes.sizeSwitched(state);
  yield* bitmaps.resize();
}
