/** How much memory the tables of an open image may take. */
import type { OpenOptions } from '../../api/options.js';

/** QEMU's figure for L2 tables; and for refcount blocks, of which only a writer has any. Bytes. */
const DEFAULTS = { l2Bytes: 32 * 1024 * 1024, refcountBytes: 16 * 1024 * 1024 };

/** Budgets in bytes. */
export interface CacheBudgets {
  /** L2 tables, those that were changed included. */
  readonly l2Bytes: number;
  /** Refcount blocks. */
  readonly refcountBytes: number;
}

/**
 * The budgets that a caller asks for.
 *
 * @throws RangeError for one that is no whole number of bytes from 0 on
 */
export function cacheBudgets({ cache = {} }: OpenOptions): CacheBudgets {
  const { l2Bytes = DEFAULTS.l2Bytes, refcountBytes = DEFAULTS.refcountBytes } = cache;
  for (const bytes of [l2Bytes, refcountBytes]) {
    if (Number.isSafeInteger(bytes) && bytes >= 0) continue;
    throw new RangeError(`A budget in cache must be a whole number of bytes from 0 on, not ${bytes}.`);
  }
  return { l2Bytes, refcountBytes };
}
