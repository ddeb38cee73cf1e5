/** Who in a store is based on whom. */
import { expect, test } from 'vitest';
import { isBasedOn, overlaysOf } from '../src/worker/store/bases.js';

test('overlays are those directly above, sorted', () => {
  const bases = new Map([
    ['base', null],
    ['z', 'base'],
    ['a', 'base'],
    ['above a', 'a'],
  ]);
  expect(overlaysOf('base', bases)).toEqual(['a', 'z']);
  expect(overlaysOf('a', bases)).toEqual(['above a']);
  expect(overlaysOf('z', bases)).toEqual([]);
});

test('an image with a circular chain is not an overlay', () => {
  const bases = new Map([
    ['a', 'b'],
    ['b', 'a'],
    ['above the circle', 'a'],
    ['itself', 'itself'],
    ['sound', 'free'],
    ['free', null],
  ]);
  for (const name of ['a', 'b', 'itself']) expect(overlaysOf(name, bases)).toEqual([]);
  expect(overlaysOf('free', bases)).toEqual(['sound']);
});

test('a chain is followed to its end, and a circle once', async () => {
  const bases = new Map([
    ['a', 'b'],
    ['b', 'a'],
    ['top', 'middle'],
    ['middle', 'base'],
  ]);
  const asked: string[] = [];
  const named = async (image: string): Promise<string | null> => {
    asked.push(image);
    return bases.get(image) ?? null;
  };
  expect(await isBasedOn('top', 'base', named)).toBe(true);
  expect(await isBasedOn('top', 'a', named)).toBe(false);
  expect(await isBasedOn('a', 'top', named)).toBe(false);
  expect(await isBasedOn(null, 'a', named)).toBe(false);
  expect(asked).toEqual(['top', 'middle', 'top', 'middle', 'base', 'a', 'b']);
});
