/** Salvage across the worker: the bytes, and the lost ranges in order, of streams, maps and exports. */
import type { Extent, LostRange, SalvageOptions } from 'qcow2';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { buildImage, type Cell } from '../../core/test/support/image-builder.js';
import { openStore, type Store, type WorkerImage } from '../src/index.js';
import { noise } from './support/images.js';
import { bytesOf, clearStorage, firstDifference, packageFiles, targetFile } from './support/opfs.js';
import { drain, errorOf } from './support/outcomes.js';

beforeEach(clearStorage);
afterAll(clearStorage);

const CLUSTER = 4096;
const PER_TABLE = CLUSTER / 8;
/** Five tables. Every other cluster of the first two is damaged: more lost ranges than one message has. */
const SCATTERED = 2 * PER_TABLE;
/** A damaged stream, of which only reading it tells; and a table that is not there. */
const STREAM = 3 * PER_TABLE + 7;
const TABLE = 2;
/** The disk's last cluster, which is shorter, is damaged too. */
const LAST = 5 * PER_TABLE - 1;
const SIZE = 5 * PER_TABLE * CLUSTER - 512;

interface Damaged {
  readonly file: File;
  /** The disk with zeros in the lost ranges. */
  readonly disk: Uint8Array;
  readonly lost: readonly Partial<LostRange>[];
}

function damagedImage(): Damaged {
  const disk = new Uint8Array(SIZE);
  const clusters = new Map<number, Cell>();
  const lost: Partial<LostRange>[] = [];
  const lose = (first: number, count: number, what: string): void => {
    lost.push({ start: first * CLUSTER, length: count * CLUSTER, code: 'corrupt', what });
  };
  for (let cluster = 0; cluster < SCATTERED; cluster += 2) {
    const bytes = noise(CLUSTER, cluster + 1);
    disk.set(bytes, cluster * CLUSTER);
    clusters.set(cluster, { kind: 'data', bytes });
    clusters.set(cluster + 1, { kind: 'entry', entry: 512n });
    if (cluster + 2 < SCATTERED) lose(cluster + 1, 1, 'L2 entry');
  }
  lose(SCATTERED - 1, 1, 'L2 entry');
  clusters.set(TABLE * PER_TABLE, { kind: 'data', bytes: noise(CLUSTER, 5) });
  lose(TABLE * PER_TABLE, PER_TABLE, 'L2 table');
  clusters.set(STREAM, { kind: 'compressed', payload: new Uint8Array(100).fill(0xff) });
  lose(STREAM, 1, 'compressed cluster');
  clusters.set(LAST, { kind: 'entry', entry: 512n });
  lost.push({ start: LAST * CLUSTER, length: SIZE - LAST * CLUSTER, code: 'corrupt', what: 'L2 entry' });
  for (const cluster of [STREAM - 1, STREAM + 1, LAST - 1]) {
    const bytes = noise(CLUSTER, cluster + 1);
    disk.set(bytes, cluster * CLUSTER);
    clusters.set(cluster, { kind: 'data', bytes });
  }
  const { bytes, l1 } = buildImage({ clusterBits: 12, size: SIZE, clusters });
  new DataView(bytes.buffer).setBigUint64(l1 + TABLE * 8, 1n << 40n);
  return { file: new File([bytes], 'damaged.qcow2'), disk, lost };
}

const { file, disk, lost } = damagedImage();

/** Collects lost ranges. */
function collecting(): { options: Pick<SalvageOptions, 'salvage' | 'onLost'>; found: LostRange[] } {
  const found: LostRange[] = [];
  return { options: { salvage: true, onLost: (range) => found.push(range) }, found };
}

async function withImage(work: (image: WorkerImage, store: Store) => Promise<void>): Promise<void> {
  const store = await openStore();
  await work(await store.openFile(file), store);
  await store.close();
}

test('a stream: each range before the bytes behind it', () =>
  withImage(async (image) => {
    const { options, found } = collecting();
    const bytes = new Uint8Array(SIZE);
    let at = 0;
    for (let reader = image.readable(undefined, options).getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) break;
      bytes.set(value, at);
      at += value.length;
      expect(found.length).toBeGreaterThanOrEqual(lost.filter(({ start, length }) => start! + length! < at).length);
    }
    expect(firstDifference(bytes, disk)).toBe(-1);
    expect(found).toMatchObject(lost);
    expect(found[0]!.message).toContain('not a multiple of the cluster size');
  }));

test('a map: what its tables tell is unreadable', () =>
  withImage(async (image) => {
    const { options, found } = collecting();
    const extents: Extent[] = [];
    for await (const extent of image.map(undefined, options)) extents.push(extent);
    const inTables = lost.filter(({ what }) => what !== 'compressed cluster');
    expect(found).toMatchObject(inTables);
    const length = extents.reduce((sum, extent) => sum + (extent.unreadable ? extent.length : 0), 0);
    expect(length).toBe(inTables.reduce((sum, range) => sum + range.length!, 0));
    expect(extents.at(-1)!.start + extents.at(-1)!.length).toBe(SIZE);
  }));

const EXPORTS: Record<string, (image: WorkerImage, store: Store, options: SalvageOptions) => Promise<Uint8Array>> = {
  'of an image into a file': async (image, _, options) => {
    const to = await targetFile('before');
    await image.export({ format: 'raw', to, ...options });
    return bytesOf(await to.getFile());
  },
  'of an image into a temporary file': async (image, _, options) => {
    const exported = await image.temporaryExport({ format: 'raw', ...options });
    const bytes = await bytesOf(exported.file);
    await exported.remove();
    return bytes;
  },
  'of a stored image into a file': async (_, store, options) => {
    const to = await targetFile('before');
    await store.export('disk', { format: 'raw', to, ...options });
    return bytesOf(await to.getFile());
  },
  'of a stored image as a stream': async (_, store, options) =>
    drain(await store.export('disk', { format: 'raw', ...options })),
  'of a stored image into a temporary file': async (_, store, options) => {
    const exported = await store.temporaryExport('disk', { format: 'raw', ...options });
    const bytes = await bytesOf(exported.file);
    await exported.remove();
    return bytes;
  },
};

test.each(Object.entries(EXPORTS))('an export %s', (_, run) =>
  withImage(async (image, store) => {
    await store.import('disk', file);
    const { options, found } = collecting();
    expect(firstDifference(await run(image, store, options), disk)).toBe(-1);
    expect(found).toMatchObject(lost);
    expect(found).toHaveLength(lost.length);
    await expect(run(image, store, {})).rejects.toMatchObject({ code: 'corrupt' });
  }),
);

test.each(Object.entries(EXPORTS))('an export %s, whose `onLost` throws, leaves nothing', (_, run) =>
  withImage(async (image, store) => {
    await store.import('disk', file);
    const before = await packageFiles();
    for (const nth of [0, 300, lost.length - 1]) {
      const mine = new Error('mine');
      let count = 0;
      const onLost = (): void => {
        if (count++ === nth) throw mine;
      };
      expect(await errorOf(run(image, store, { salvage: true, onLost }))).toBe(mine);
      expect(await packageFiles()).toEqual(before);
    }
  }),
);

test('the file of an image is exported as it is: salvage is refused', () =>
  withImage(async (_, store) => {
    await store.import('disk', file);
    const options = { format: 'qcow2', salvage: true } as const;
    await expect(store.export('disk', options)).rejects.toThrow(TypeError);
    await expect(store.export('disk', { ...options, to: await targetFile() })).rejects.toThrow(TypeError);
    await expect(store.temporaryExport('disk', options)).rejects.toThrow(TypeError);
  }));
