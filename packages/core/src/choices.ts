/** Checks arguments and options that are one of a few values: words, and powers of two. */
import { shown } from './arguments.js';

/**
 * Checks an argument that is one of a few words or numbers.
 *
 * @throws `Failure`, by default TypeError, for anything else
 */
export function requireOneOf(
  name: string,
  value: unknown,
  choices: readonly unknown[],
  Failure: new (message: string) => Error = TypeError,
): void {
  if (choices.includes(value)) return;
  throw new Failure(`${name} must be ${choices.map(shown).join(' or ')}, not ${shown(value)}.`);
}

/**
 * The exponent of a power of two from `2 ** min` to `2 ** max`.
 *
 * @throws RangeError for anything else
 */
export function requirePowerOfTwo(name: string, value: unknown, min: number, max: number): number {
  const exponent = typeof value === 'number' ? Math.log2(value) : Number.NaN;
  if (Number.isInteger(exponent) && exponent >= min && exponent <= max) return exponent;
  throw new RangeError(`${name} must be a power of two from ${2 ** min} to ${2 ** max}, not ${shown(value)}.`);
}
