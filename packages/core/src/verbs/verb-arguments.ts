/** Checks the arguments of verbs that are loaded on demand. `qcow2-opfs` checks them on the page by the same rules. */
import { requireKind, requireOptions, requireWhole } from '../arguments.js';
import { requireOneOf } from '../choices.js';

/** Arguments of `repair`. Throws TypeError for one of the wrong type, and for another `fix`. */
export function requireRepair(options: unknown): void {
  requireOptions(options);
  requireOptions(options, { dryRun: 'a boolean' });
  requireOneOf('fix', (options as { fix?: unknown } | undefined)?.fix, ['leaks', 'all']);
}

/** Arguments of `digest`. Throws TypeError for another algorithm, and for an option of the wrong type. */
export function requireDigest(algorithm: unknown, options: unknown): void {
  requireOneOf('algorithm', algorithm, ['SHA-1', 'SHA-256']);
  requireOptions(options);
  requireOptions(options, { createHash: 'a function' });
}

/** The options of `writeZeroes`. Throws TypeError for one of the wrong type. */
export function requireZeroing(options: unknown): void {
  requireOptions(options, { unmap: 'a boolean' });
}

/** Arguments of `resize`. Throws RangeError for a size that is not a whole number, TypeError for a wrong option. */
export function requireResize(size: unknown, options: unknown): void {
  requireWhole('size', size);
  requireOptions(options);
  requireOptions(options, { shrink: 'a boolean' });
}

/** The option `autoCompact` of `open`. Throws TypeError for one that is no object, RangeError for a wrong number. */
export function requireAutoCompact(autoCompact: unknown): void {
  if (autoCompact === undefined) return;
  requireKind('autoCompact', autoCompact, 'an object');
  const { afterDiscarded, keepFree } = autoCompact as { afterDiscarded?: unknown; keepFree?: unknown };
  requireWhole('autoCompact.afterDiscarded', afterDiscarded);
  requireWhole('autoCompact.keepFree', keepFree);
}
