/** The usage of an image file, maps that detect zeros, and counts of clusters, across the real worker. */
import { type LostRange, type Progress, Qcow2Image } from 'qcow2';
import { expect, test } from 'vitest';
import { extentsOf } from '../../core/test/detect-zeroes/split-by-bytes.js';
import { buildImage, type Cell, filled } from '../../core/test/support/image-builder.js';
import type { Store } from '../src/index.js';
import { withEmptyStore } from './support/empty-store.js';
import { noise } from './support/images.js';

const CLUSTER = 65_536;
const MIB = 2 ** 20;

let store: Store;
withEmptyStore((opened) => {
  store = opened;
});

/** Two snapshots, leaks, stored zeros, and a damaged compressed cluster. */
function mixedFile(): File {
  const clusters = new Map<number, Cell>([
    [0, filled(1)],
    [1, filled(0)],
    [2, filled(0)],
    [4, { kind: 'compressed', payload: new Uint8Array(100).fill(0xff) }],
  ]);
  const snapshots = [
    { id: '1', name: 'first' },
    { id: '2', name: 'second' },
  ];
  return new File([buildImage({ clusters, snapshots, leaked: 2 }).bytes], 'mixed.qcow2');
}

test('a usage is that of the engine, with progress and an abort', async () => {
  const file = mixedFile();
  await using image = await store.openFile(file);
  await using engine = await Qcow2Image.open(file);
  const reports: Progress[] = [];
  const usage = await image.usage({ onProgress: (progress) => reports.push(progress) });
  expect(usage).toEqual(await engine.usage());
  expect(usage).toMatchObject({ fileSize: file.size, data: 4 * CLUSTER, leaks: 2 * CLUSTER });
  expect(usage.snapshots).toEqual([
    { id: '1', name: 'first', exclusive: CLUSTER },
    { id: '2', name: 'second', exclusive: CLUSTER },
  ]);
  expect(reports.at(-1)).toMatchObject({ phase: 'usage', done: reports.at(-1)!.total });
  const reason = { enough: true };
  await expect(image.usage({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  await using view = await image.openSnapshot('1');
  expect(await view.usage()).toEqual(usage);
});

test('a map that detects zeros is that of the engine, past damage too', async () => {
  const file = mixedFile();
  await using image = await store.openFile(file);
  await using engine = await Qcow2Image.open(file);
  const range = { start: 0, length: 4 * CLUSTER };
  const extents = await extentsOf(image, range, { detectZeroes: true });
  expect(extents).toEqual(await extentsOf(engine, range, { detectZeroes: true }));
  expect(extents.map(({ length, data, zero }) => [length / CLUSTER, data, zero])).toEqual([
    [1, true, false],
    [2, true, true],
    [1, false, true],
  ]);
  const lost: LostRange[] = [];
  const options = { detectZeroes: true, salvage: true, onLost: (range: LostRange) => lost.push(range) } as const;
  const salvaged = await extentsOf(image, undefined, options);
  expect(lost).toMatchObject([{ start: 4 * CLUSTER, length: CLUSTER, what: 'compressed cluster' }]);
  expect(salvaged.filter(({ unreadable }) => unreadable)).toMatchObject([{ start: 4 * CLUSTER, length: CLUSTER }]);
  await expect(extentsOf(image, undefined, { detectZeroes: true })).rejects.toMatchObject({
    code: 'corrupt',
  });
});

test('an image that is written is flushed for its usage, and counts its clusters', async () => {
  await using image = await store.create('written', { size: 64 * MIB, lazyRefcounts: true });
  await image.write(0, noise(4 * MIB, 1));
  expect(await image.usage()).toMatchObject({ data: 4 * MIB, leaks: 0, uncounted: 0 });
  await image.discard(0, MIB);
  expect((await image.stats()).space).toMatchObject({ quarantinedClusters: MIB / CLUSTER, releasedClusters: 0 });
  expect((await image.usage()).data).toBe(3 * MIB);
  const { space } = await image.stats();
  expect(space).toMatchObject({ quarantinedClusters: 0, releasedClusters: MIB / CLUSTER });
  expect(space!.freeClusters).toBeGreaterThanOrEqual(MIB / CLUSTER);
});
