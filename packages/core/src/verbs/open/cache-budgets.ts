/** The memory budgets of an open image's tables. */
import type { OpenOptions } from '../../api/options.js';

/** QEMU's default for L2 tables, and a budget for refcount blocks, which only a writer loads. Bytes. */
const DEFAULTS = { l2Bytes: 32 * 1024 * 1024, refcountBytes: 16 * 1024 * 1024 };

/** Budgets in bytes. */
export interface CacheBudgets {
  /** L2 tables, dirty ones included. */
  readonly l2Bytes: number;
  /** Refcount blocks. */
  readonly refcountBytes: number;
}

/**
 * The budgets in a caller's options, or the defaults.
 *
 * @throws RangeError for anything but a non-negative integer
 */
export function cacheBudgets({ cache = {} }: OpenOptions): CacheBudgets {
  const { l2Bytes = DEFAULTS.l2Bytes, refcountBytes = DEFAULTS.refcountBytes } = cache;
  for (const bytes of [l2Bytes, refcountBytes]) {
    if (Number.isSafeInteger(bytes) && bytes >= 0) continue;
    throw new RangeError(`A budget in cache must be a whole number of bytes from 0 on, not ${bytes}.`);
  }
  return { l2Bytes, refcountBytes };
}
