/** Opens an image for anything but reading: for writing, or for repair. */
import type { Openable } from '../../api/openable.js';
import type { OpenOptions } from '../../api/options.js';
import type { CacheBudgets } from './open-options.js';
import type { Opening } from './opening.js';

/**
 * Starts opening an image in a mode other than `'read'`.
 *
 * @throws TypeError for an unknown mode, and for an image that is not a BlockDevice; {@link Qcow2Error} `locked` when
 *   another image of this process writes to it; for `repairDirty` and for repair, what these throw.
 */
export async function startChanges(
  image: Openable,
  mode: unknown,
  budgets: CacheBudgets,
  options: OpenOptions,
): Promise<Opening> {
  if (mode === 'repair') {
    const { startRepair } = await import('./open-for-repair.js');
    return startRepair(image, budgets, options.signal);
  }
  if (mode !== 'readwrite') {
    // Not by `requireOneOf`: bundlers would take the rules for arguments out of the first chunk, for 200 bytes more.
    const given = typeof mode === 'string' ? JSON.stringify(mode) : typeof mode;
    throw new TypeError(`mode must be "read" or "readwrite" or "repair", not ${given}.`);
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
