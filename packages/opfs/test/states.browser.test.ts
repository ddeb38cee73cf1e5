/** The other states of an image through the real worker: disks of snapshots, and what bitmaps mark. */
import { isQcow2Error, type Range } from 'qcow2';
import { describe, expect, test } from 'vitest';
import { put } from '../../core/test/support/big-endian.js';
import { bitmapImage, STRETCH } from '../../core/test/support/bitmap-image.js';
import { buildImage } from '../../core/test/support/image-builder.js';
import type { Store } from '../src/index.js';
import { withEmptyStore } from './support/empty-store.js';
import { CLUSTER, noise } from './support/images.js';
import { firstDifference, targetFile } from './support/opfs.js';

let store: Store;
withEmptyStore((opened) => {
  store = opened;
});

const guest = noise(3 * CLUSTER, 5);

/** An image of four clusters, with a snapshot of which the disk had three. */
function withSnapshot(): File {
  const extra = new Uint8Array(16);
  put(extra, 8, 8, guest.length);
  const clusters = new Map(
    [0, 1, 2].map((index) => {
      const bytes = guest.subarray(index * CLUSTER, (index + 1) * CLUSTER);
      return [index, { kind: 'data', bytes } as const];
    }),
  );
  const { bytes } = buildImage({ size: 4 * CLUSTER, clusters, snapshots: [{ id: '1', name: 'before', extra }] });
  return new File([bytes], 'snapshots.qcow2');
}

describe('a snapshot', () => {
  test('has its own size, bytes and extents', async () => {
    await using image = await store.openFile(withSnapshot());
    expect(image.snapshots).toMatchObject([{ id: '1', name: 'before', diskSize: guest.length }]);
    await using view = await image.openSnapshot('before');
    expect(view.size).toBe(guest.length);
    expect(view.info.virtualSize).toBe(guest.length);
    const into = new Uint8Array(guest.length);
    await view.read(0, into);
    expect(firstDifference(into, guest)).toBe(-1);
    const lengths: number[] = [];
    for await (const { length, data } of view.map()) if (data) lengths.push(length);
    expect(lengths).toEqual([guest.length]);
  });

  test('is exported as raw, also into a temporary file', async () => {
    await using image = await store.openFile(withSnapshot());
    const view = await image.openSnapshot('1');
    const to = await targetFile();
    await view.export({ format: 'raw', to });
    expect(firstDifference(new Uint8Array(await (await to.getFile()).arrayBuffer()), guest)).toBe(-1);
    const temporary = await view.temporaryExport({ format: 'raw' });
    expect(firstDifference(new Uint8Array(await temporary.file.arrayBuffer()), guest)).toBe(-1);
    await temporary.remove();
  });

  test('that does not exist is not-found', async () => {
    await using image = await store.openFile(withSnapshot());
    const error = await image.openSnapshot('after').catch((thrown: unknown) => thrown);
    expect(isQcow2Error(error, 'not-found')).toBe(true);
    expect(error).toMatchObject({ details: { name: 'after' } });
  });

  test('can be closed alone, and is closed with its image', async () => {
    const image = await store.openFile(withSnapshot());
    const [first, second] = [await image.openSnapshot('1'), await image.openSnapshot('1')];
    const byte = new Uint8Array(1);
    await first.close();
    await expect(first.read(0, byte)).rejects.toMatchObject({ code: 'closed' });
    await second.read(0, byte);
    await image.read(0, byte);
    await image.close();
    await expect(second.read(0, byte)).rejects.toMatchObject({ code: 'closed' });
    await second.close();
  });
});

describe('a bitmap', () => {
  /** Every other sector of five stretches: more ranges than two hops carry. */
  const table = Array.from({ length: 5 }, () => new Uint8Array(512).fill(0x55));
  const file = (): File => new File([bitmapImage({ table })], 'bitmap.qcow2');

  test('is sent in packets, in order', async () => {
    await using image = await store.openFile(file());
    expect(image.bitmaps).toMatchObject([{ name: 'b', granularity: 512 }]);
    const ranges: Range[] = [];
    for await (const range of image.dirtyRanges('b')) ranges.push(range);
    expect(ranges).toHaveLength((5 * STRETCH) / 1024);
    expect(ranges.every(({ start, length }, index) => start === index * 1024 && length === 512)).toBe(true);
  });

  test('can be left early, is aborted with the same reason object, and is not-found by another name', async () => {
    await using image = await store.openFile(file());
    for await (const { start } of image.dirtyRanges('b')) if (start > 0) break;
    const reason = new Error('enough');
    await expect(image.dirtyRanges('b', { signal: AbortSignal.abort(reason) }).next()).rejects.toBe(reason);
    await expect(image.dirtyRanges('c').next()).rejects.toMatchObject({ code: 'not-found', details: { name: 'c' } });
  });
});
