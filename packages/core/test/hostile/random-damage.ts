/** Owns random damage: which bytes of an image change, and how, all of it from one seed. */
import { numbers } from '../support/numbers.js';
import type { Structure } from './structures.js';

/** A byte, and what it becomes. */
export interface Flip {
  readonly at: number;
  readonly value: number;
}

/** One to four bytes of `file`, most of them in structures, and in each kind of structure as often as in any other. */
export function damage(seed: number, file: Uint8Array, structures: readonly Structure[]): readonly Flip[] {
  const next = numbers(seed);
  const kinds = [...new Set(structures.map(({ what }) => what))];
  return Array.from({ length: 1 + (next() % 4) }, (): Flip => {
    const kind = kinds[next() % kinds.length]!;
    const ofKind = structures.filter(({ what }) => what === kind);
    const { at, length } = next() % 8 === 0 ? { at: 0, length: file.length } : ofKind[next() % ofKind.length]!;
    const place = Math.min(at + (next() % length), file.length - 1);
    const how = next() % 4;
    if (how === 0) return { at: place, value: next() & 255 };
    if (how === 1) return { at: place, value: file[place]! ^ (1 << (next() % 8)) };
    return { at: place, value: [0, 1, 127, 128, 255][next() % 5]! };
  });
}

/** Changes the bytes while `work` runs, then puts them back: a file of many megabytes need not be copied for it. */
export async function withDamage<T>(file: Uint8Array, flips: readonly Flip[], work: () => Promise<T>): Promise<T> {
  const before = flips.map(({ at }) => file[at]!);
  for (const { at, value } of flips) file[at] = value;
  try {
    return await work();
  } finally {
    // backwards, since one byte may have changed twice
    for (let index = flips.length - 1; index >= 0; index--) file[flips[index]!.at] = before[index]!;
  }
}
