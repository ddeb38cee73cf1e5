/** Opens an image for anything but reading: for writing, or for repair. */
import type { Openable } from '../../api/openable.js';
import type { OpenOptions } from '../../api/options.js';
import type { CacheBudgets } from './cache-budgets.js';
import type { Opening } from './opening.js';

/**
 * Starts opening an image in a mode other than `'read'`.
 *
 * @throws TypeError for an unknown mode, and for an image that is not a BlockDevice; {@link Qcow2Error} `locked` when
 *   another image of this process writes to it; for `repairDirty` and for repair, what these throw.
 */
export async function startChanges(
  image: Openable,
  mode: string,
  budgets: CacheBudgets,
  options: OpenOptions,
): Promise<Opening> {
  if (mode === 'repair') {
    const { startRepair } = await import('./open-for-repair.js');
    return startRepair(image, budgets, options.signal);
  }
  if (mode !== 'readwrite') {
    throw new TypeError(`The mode must be 'read', 'readwrite' or 'repair', not ${JSON.stringify(mode)}.`);
  }
  const { WriteOpening } = await import('./open-for-writing.js');
  const opening = new WriteOpening(image, budgets, options);
  try {
    if (options.repairDirty) await (await import('./open-for-repair.js')).repairIfDirty(opening.device, options);
  } catch (error) {
    opening.release();
    throw error;
  }
  return opening;
}
