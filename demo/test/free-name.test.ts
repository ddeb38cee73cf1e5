import { describe, expect, it } from 'vitest';
import { nameRefusal } from '../src/store/create-form.js';
import { freeName } from '../src/store/free-name.js';

const named = (...names: string[]): { name: string }[] => names.map((name) => ({ name }));

describe('a free name', () => {
  it.each([
    ['disk.qcow2', [], 'disk.qcow2'],
    ['disk.qcow2', ['disk.qcow2'], 'disk-2.qcow2'],
    ['disk.qcow2', ['disk.qcow2', 'disk-2.qcow2'], 'disk-3.qcow2'],
    ['disk', ['disk'], 'disk-2'],
    ['a.b.img', ['a.b.img'], 'a.b-2.img'],
    ['caf\u00e9', ['cafe\u0301'], 'caf\u00e9-2'],
    ['..hidden.qcow2', [], 'hidden.qcow2'],
    ['a/b\\c\u0007\ud800.qcow2', [], 'a_b_c__.qcow2'],
    ['', [], 'image'],
    ['...', ['image'], 'image-2'],
    [`${'x'.repeat(199)}.qcow2`, [], `${'x'.repeat(194)}.qcow2`],
    [`${'\u00e9'.repeat(120)}.qcow2`, [`${'\u00e9'.repeat(97)}.qcow2`], `${'\u00e9'.repeat(96)}-2.qcow2`],
    [`a.${'x'.repeat(250)}`, [], `a.${'x'.repeat(198)}`],
  ])('%j beside %j: %j', (wanted, taken, expected) => {
    expect(freeName(wanted, named(...taken))).toBe(expected);
    expect(nameRefusal(expected, named(...taken))).toBe(undefined);
  });
});
