/** What a name in a store may be; the store's own tests ask every verb. */
import { expect, test } from 'vitest';
import { imageName, isImageName, storedFile } from '../src/protocol/image-name.js';

test('a name is normalised, and at most 200 bytes long when it is', () => {
  expect(imageName('e\u0301')).toBe('é');
  const letters = 'e\u0301'.repeat(100);
  expect(new TextEncoder().encode(letters)).toHaveLength(300);
  expect(imageName(letters)).toBe('é'.repeat(100));
  expect(() => imageName(`${letters}e`)).toThrow(RangeError);
});

test.each([undefined, null, 7, {}])('%j is not a name', (value) => {
  expect(() => imageName(value)).toThrow(TypeError);
});

test.each([
  ['base.qcow2', 'base.qcow2'],
  ['/images/base', 'base'],
  ['../base', 'base'],
  ['file:base', 'base'],
  ['C:\\images\\base', 'base'],
  ['json:{"file":{"driver":"file","filename":"images/base"}}', 'base'],
  ['json:{}', 'json:{}'],
  ['json:{"driver":"raw","offset":512,"file":{"driver":"file","filename":"base"}}', null],
  ['https://host/base?sig=a/b', 'base'],
  ['nbd://host/base', null],
  ['bad\udcff', null],
  ['images/', null],
  ['..', null],
  ['.tmp-1', null],
  ['json:{"file": "a/\u0007"}', null],
])('the backing file %j is %j in the store', (path, name) => {
  expect(storedFile(path)?.name ?? null).toBe(name);
});

test('a name has no slash of either kind', () => {
  for (const name of ['a/b', 'a\\b']) expect(() => imageName(name)).toThrow(RangeError);
});

test('names with a leading dot are reserved for the package', () => {
  expect(['a', '.a', '.tmp-b'].filter(isImageName)).toEqual(['a']);
});
