/** Who in a store is based on whom. */
import { expect, test } from 'vitest';
import { overlaysOf } from '../src/bases.js';

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

test('what leads in a circle is based on nobody', () => {
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
