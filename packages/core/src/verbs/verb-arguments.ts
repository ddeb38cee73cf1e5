/** Checks the arguments of verbs that are loaded on demand. `qcow2-opfs` checks them on the page by the same rules. */
import { refuse, requireKind, requireOptions, requireWhole, shown } from '../arguments.js';
import { requireOneOf } from '../choices.js';
import { encodeName } from '../format/names.js';

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

/** The longest name of a snapshot, bytes of UTF-8: its length has 16 bits. */
const MAX_NAME_BYTES = 65_535;

/** The name of a snapshot. Throws TypeError unless it is a string, RangeError for one that cannot be stored. */
export function requireSnapshotName(name: unknown): void {
  requireKind('name', name, 'a string');
  const isStored =
    name !== '' && !(name as string).includes('\0') && encodeName(name as string).length <= MAX_NAME_BYTES;
  if (isStored) return;
  const given = shown((name as string).slice(0, 64));
  throw new RangeError(`name must be 1 to ${MAX_NAME_BYTES} bytes of UTF-8 without NUL, not ${given}.`);
}

/** Arguments of `createSnapshot`. Throws TypeError for one of the wrong type, RangeError for a wrong value. */
export function requireSnapshot(name: unknown, options: unknown): void {
  requireSnapshotName(name);
  requireOptions(options);
  const { date, vmClock, icount } = (options ?? {}) as { date?: unknown; vmClock?: unknown; icount?: unknown };
  requireDate(date);
  requireBigInt('vmClock', vmClock, 64n);
  requireBigInt('icount', icount, 63n);
}

/** Refers to a snapshot. Throws TypeError unless it is a string, or an object with an id or a name. */
export function requireReference(which: unknown, options: unknown): void {
  requireOptions(options);
  const { id, name } = (Object(which) === which ? which : {}) as { id?: unknown; name?: unknown };
  const given = typeof which === 'string' ? which : (id ?? name);
  if (typeof given !== 'string' || (id !== undefined && name !== undefined)) {
    refuse('which', 'a string, { id } or { name }', which);
  }
}

function requireDate(date: unknown): void {
  if (date === undefined) return;
  // By its tag: a date of another realm is not an instance of this realm's class.
  if (Object.prototype.toString.call(date) !== '[object Date]') refuse('date', 'a Date', date);
  const seconds = (date as Date).getTime() / 1000;
  if (!(seconds >= 0 && seconds < 2 ** 32)) throw new RangeError('date must be between 1970 and 2106.');
}

function requireBigInt(name: string, value: unknown, bits: bigint): void {
  if (value === undefined) return;
  if (typeof value !== 'bigint') refuse(name, 'a bigint', value);
  if (value < 0n || value >= 1n << bits) throw new RangeError(`${name} must be from 0 to 2^${bits} - 1.`);
}
