/** Chains of backing files that a stranger made: circles, endless ones, and ones that lead to something broken. */
import { expect, test } from 'vitest';
import type { Resolved } from '../../src/api/openable.js';
import { isQcow2Error, Qcow2Image } from '../../src/index.js';
import { put } from '../support/big-endian.js';
import { overlayImage, plainImage } from './bases.js';
import { errorOf } from './operation.js';

/** QEMU sets no limit and overflows its stack; this library follows 16 files. */
const MAX_FILES = 16;

test.each<[string, (bytes: Uint8Array) => Resolved]>([
  ['with a format', (source) => ({ source: source as Uint8Array<ArrayBuffer>, format: 'qcow2' })],
  ['without one', (bytes) => bytes],
])('a file that is its own backing file, %s, is refused', async (_, answer) => {
  const { bytes } = overlayImage();
  const error = await errorOf(bytes, 'open', async () => answer(bytes));
  expect(error).toMatchObject({
    code: 'corrupt',
    details: { what: 'backing file', at: 8, name: 'base.raw', depth: 1 },
  });
});

test.each([2, 3, 7])('a circular chain of %i files is refused', async (length) => {
  const files = Array.from({ length }, () => overlayImage().bytes);
  let resolved = 0;
  const resolve = async () => ({ source: files[++resolved % length]!, format: 'qcow2' as const });
  const error = await errorOf(files[0]!, 'open', resolve);
  expect(error).toMatchObject({ code: 'corrupt', details: { what: 'backing file', at: 8, depth: length } });
  expect(resolved).toBe(length);
});

test('an endless chain of different files is followed up to the limit', async () => {
  let resolved = 0;
  const resolve = async () => {
    resolved++;
    return { source: overlayImage().bytes, format: 'qcow2' as const };
  };
  const error = await errorOf(overlayImage().bytes, 'open', resolve);
  expect(error).toMatchObject({ code: 'unsupported', details: { what: 'backing file', depth: MAX_FILES } });
  expect(resolved).toBe(MAX_FILES);
});

test('a chain of the maximum length is read', async () => {
  let resolved = 0;
  const resolve = async () => {
    const isLast = ++resolved === MAX_FILES - 1;
    return isLast
      ? { source: new Uint8Array(16 * 4096).fill(0x42), format: 'raw' as const }
      : { source: overlayImage().bytes, format: 'qcow2' as const };
  };
  await using image = await Qcow2Image.open(overlayImage().bytes, { resolve });
  const byte = new Uint8Array(1);
  await image.read(15 * 4096, byte);
  expect(byte[0]).toBe(0x42);
});

test('a chain whose base is damaged is refused, and the error names the file and the offset', async () => {
  const base = plainImage().bytes;
  put(base, 36, 4, 0xffff_ffff);
  const error = await errorOf(overlayImage().bytes, 'open', async () => ({ source: base, format: 'qcow2' }));
  expect(error).toMatchObject({ code: 'unsupported', details: { what: 'l1_size', at: 36, layer: 1 } });
});

test('a chain whose qcow2 base is not an image is refused', async () => {
  const resolve = async () => ({ source: new Uint8Array(4096), format: 'qcow2' as const });
  expect(await errorOf(overlayImage().bytes, 'open', resolve)).toMatchObject({ code: 'not-qcow2' });
});

test('a chain that needs an unsupported format is refused', async () => {
  const resolve = async () => ({ source: new Uint8Array(4096), format: 'vmdk' as never });
  await expect(Qcow2Image.open(overlayImage().bytes, { resolve })).rejects.toSatisfy((error) =>
    isQcow2Error(error, 'unsupported'),
  );
});
