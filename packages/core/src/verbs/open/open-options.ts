/** Checks the options of opening an image, and returns the memory budgets among them. */
import type { OpenOptions } from '../../api/options.js';
import { requireOptions, requireWhole } from '../../arguments.js';

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
 * Checks a caller's options of opening, or of creating, that methods share. Returns the budgets in them, or the
 * defaults.
 *
 * @throws TypeError for an option of the wrong type; RangeError for a budget that is not a non-negative integer
 */
export function checkedBudgets(options: Pick<OpenOptions, 'cache'>): CacheBudgets {
  requireOptions(options);
  const { l2Bytes = DEFAULTS.l2Bytes, refcountBytes = DEFAULTS.refcountBytes } = options.cache ?? {};
  requireWhole('cache.l2Bytes', l2Bytes);
  requireWhole('cache.refcountBytes', refcountBytes);
  return { l2Bytes, refcountBytes };
}
