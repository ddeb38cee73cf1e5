/** Refuses arguments and options of the wrong type or value: says which, what is expected and what was given. */

/** What an argument or an option may be, in the words of the message. */
export type Kind = 'a boolean' | 'a function' | 'a string' | 'an object' | 'an AbortSignal';

/** What options may be, by their names. */
export type Kinds = Readonly<Record<string, Kind>>;

/** The options of several methods. An option is of the same kind wherever it is taken. */
const SHARED: Kinds = {
  signal: 'an AbortSignal',
  onProgress: 'a function',
  onLost: 'a function',
  resolve: 'a function',
  salvage: 'a boolean',
  verify: 'a boolean',
  repairDirty: 'a boolean',
  deep: 'a boolean',
  names: 'a boolean',
  detectZeroes: 'a boolean',
  cache: 'an object',
};

/**
 * Refuses a value. `name` is the argument's or the option's, `expected` describes what it must be.
 *
 * @throws TypeError
 */
export function refuse(name: string, expected: string, given: unknown): never {
  throw new TypeError(`${name} must be ${expected}, not ${shown(given)}.`);
}

/**
 * Checks an argument.
 *
 * @throws TypeError unless it is of the kind
 */
export function requireKind(name: string, value: unknown, kind: Kind): void {
  if (!isOfKind(value, kind)) refuse(name, kind, value);
}

/**
 * Checks the options of a method: those in `kinds`, by default those of several methods. Each may be absent, and so may
 * all of them.
 *
 * @throws TypeError for options that are not an object, and for an option of another kind
 */
export function requireOptions(options: unknown, kinds: Kinds = SHARED): void {
  if (options === undefined) return;
  requireKind('options', options, 'an object');
  for (const option in kinds) {
    const value = (options as Readonly<Record<string, unknown>>)[option];
    if (value !== undefined) requireKind(option, value, kinds[option]!);
  }
}

/**
 * Checks a count, a number of bytes or an offset.
 *
 * @throws RangeError for anything but a whole number from `min` on
 */
export function requireWhole(name: string, value: unknown, min = 0): void {
  if (!isSize(value, min)) throw new RangeError(`${name} must be a whole number from ${min} on, not ${shown(value)}.`);
}

/** True if a value is a number of bytes: a whole number from `min` on. */
export function isSize(value: unknown, min = 0): value is number {
  return Number.isSafeInteger(value) && (value as number) >= min;
}

/** A value in a message. Never throws: a symbol, a BigInt or an object without a prototype has no plain string form. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (Object(value) === value) return Object.prototype.toString.call(value);
  return typeof value === 'bigint' ? `${value}n` : String(value);
}

function isOfKind(value: unknown, kind: Kind): boolean {
  if (kind === 'an object') return typeof value === 'object' && value !== null && !Array.isArray(value);
  // By a method: a signal of another realm is not an instance of this realm's class.
  if (kind === 'an AbortSignal') return typeof (value as Partial<AbortSignal> | null)?.throwIfAborted === 'function';
  return kind === `a ${typeof value}`;
}
