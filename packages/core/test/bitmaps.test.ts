/** What persistent bitmaps mark: every kind of table entry, and what is refused. QEMU's own bitmaps are compared in golden/. */
import { describe, expect, it } from 'vitest';
import { Qcow2Image, type Range } from '../src/index.js';
import { RecordingSource } from './suites/recording-source.js';
import { get, put } from './support/big-endian.js';
import { buildImage, type Cell } from './support/image-builder.js';

const CLUSTER = 512;
/** Guest bytes that one cluster of bits stands for at the granularity of 512. */
const STRETCH = CLUSTER * 8 * 512;
/** Guest clusters that hold the directory, the table, and from then on the bits; the guest sees them too. */
const DIRECTORY = 0;
const TABLE = 1;
const BITS = 2;

interface BitmapPlan {
  /** Size of the disk, bytes. */
  readonly size?: number;
  /** Each an entry as it is, or the bits that its cluster holds. */
  readonly table: readonly (bigint | Uint8Array)[];
  readonly flags?: number;
  readonly extraBytes?: number;
  /** Breaks the directory's only entry. */
  readonly damage?: (entry: Uint8Array) => void;
}

function directory(plan: BitmapPlan, tableAt: number): Uint8Array {
  const extra = plan.extraBytes ?? 0;
  const entry = new Uint8Array(Math.ceil((24 + extra + 1) / 8) * 8);
  put(entry, 0, 8, tableAt);
  put(entry, 8, 4, plan.table.length);
  put(entry, 12, 4, plan.flags ?? 0);
  put(entry, 16, 1, 1);
  put(entry, 17, 1, 9);
  put(entry, 18, 2, 1);
  put(entry, 20, 4, extra);
  entry[24 + extra] = 'b'.charCodeAt(0);
  plan.damage?.(entry);
  return entry;
}

/** An image with one bitmap, named `b`, of the granularity 512. */
function imageOf(plan: BitmapPlan): Uint8Array<ArrayBuffer> {
  const build = (hostOf: (cluster: number) => number) => {
    const clusters = new Map<number, Cell>();
    const table = new Uint8Array(CLUSTER);
    plan.table.forEach((entry, index) => {
      put(table, index * 8, 8, typeof entry === 'bigint' ? entry : hostOf(BITS + index));
      if (typeof entry !== 'bigint') clusters.set(BITS + index, { kind: 'data', bytes: entry });
    });
    const entry = directory(plan, hostOf(TABLE));
    clusters.set(DIRECTORY, { kind: 'data', bytes: entry });
    clusters.set(TABLE, { kind: 'data', bytes: table });
    const data = new Uint8Array(24);
    put(data, 0, 4, 1);
    put(data, 8, 8, entry.length);
    put(data, 16, 8, hostOf(DIRECTORY));
    const extensions = [{ type: 0x23852875, data }];
    return buildImage({
      clusterBits: 9,
      size: plan.size ?? plan.table.length * STRETCH,
      autoclear: 1n,
      extensions,
      clusters,
    });
  };
  // the first build says where the clusters come to lie
  const first = build(() => 0);
  return build((cluster) => Number(get(first.bytes, first.entryAt(cluster), 8) & 0x00ff_ffff_ffff_fe00n)).bytes;
}

async function ranges(image: Qcow2Image): Promise<Range[]> {
  const found: Range[] = [];
  for await (const range of image.dirty('b')) found.push(range);
  return found;
}

/** A cluster of bits, of which these are set. */
function bits(...set: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(CLUSTER);
  for (const bit of set) bytes[bit >> 3]! |= 1 << (bit & 7);
  return bytes;
}

const LAST = CLUSTER * 8 - 1;

describe('what a bitmap marks', () => {
  it('is nothing, all, or what its bits say, and runs on from one entry to the next', async () => {
    const plan = { table: [0n, bits(0, 9, 10, LAST), 1n, 1n, bits(0), bits(5)], size: 6 * STRETCH };
    expect(await ranges(await Qcow2Image.open(imageOf(plan)))).toEqual([
      { start: STRETCH, length: 512 },
      { start: STRETCH + 9 * 512, length: 1024 },
      { start: STRETCH + LAST * 512, length: 512 + 2 * STRETCH + 512 },
      { start: 5 * STRETCH + 5 * 512, length: 512 },
    ]);
  });

  it('ends with the disk, whatever the bits behind it say', async () => {
    const all = new Uint8Array(CLUSTER).fill(0xff);
    for (const last of [all, 1n]) {
      const plan = { table: [0n, last, 1n], size: STRETCH + 5 * 512 };
      expect(await ranges(await Qcow2Image.open(imageOf(plan)))).toEqual([{ start: STRETCH, length: 5 * 512 }]);
    }
    expect(await ranges(await Qcow2Image.open(imageOf({ table: [all], size: 0 })))).toEqual([]);
  });

  it('comes in order, also when it is more than one batch', async () => {
    const even = new Uint8Array(CLUSTER).fill(0x55);
    const found = await ranges(await Qcow2Image.open(imageOf({ table: [even, even, even] })));
    expect(found).toHaveLength((3 * (LAST + 1)) / 2);
    expect(found.every(({ start, length }, index) => start === index * 1024 && length === 512)).toBe(true);
  });

  it('is read in two device calls: the table, and all bits at once', async () => {
    const source = new RecordingSource(imageOf({ table: Array.from({ length: 20 }, (_, i) => bits(i)) }));
    const image = await Qcow2Image.open(source);
    const before = image.stats.deviceReads;
    await ranges(image);
    expect(image.stats.deviceReads - before).toBe(2);
  });

  it('is not told by a snapshot, nor when the image is closed or the signal aborted', async () => {
    const image = await Qcow2Image.open(imageOf({ table: [1n] }));
    const reason = new Error('enough');
    await expect(image.dirty('b', { signal: AbortSignal.abort(reason) }).next()).rejects.toBe(reason);
    await expect(image.dirty('c').next()).rejects.toMatchObject({ code: 'not-found', details: { name: 'c' } });
    await image.close();
    await expect(image.dirty('b').next()).rejects.toMatchObject({ code: 'closed' });
  });
});

describe('a bitmap that is not to be trusted', () => {
  it.each<[string, BitmapPlan, 'corrupt' | 'unsupported']>([
    ['was in use', { table: [1n], flags: 1 }, 'corrupt'],
    ['has extra data that must be understood', { table: [1n], extraBytes: 8 }, 'unsupported'],
    ['has too short a table', { table: [1n], size: STRETCH + 512 }, 'corrupt'],
    ['sets the reserved bit 1', { table: [2n] }, 'corrupt'],
    ['sets the reserved bit 56', { table: [1n << 56n] }, 'corrupt'],
    ['says all ones of a cluster', { table: [0x1_0001n] }, 'corrupt'],
    ['has bits past the end of the file', { table: [1n << 40n] }, 'corrupt'],
    ['has its table at 0', { table: [1n], damage: (entry) => put(entry, 0, 8, 0) }, 'corrupt'],
    ['has its table between clusters', { table: [1n], damage: (entry) => put(entry, 0, 8, 700) }, 'corrupt'],
    ['has its table past the end', { table: [1n], damage: (entry) => put(entry, 0, 8, 1n << 40n) }, 'corrupt'],
    ['has a table longer than the file', { table: [1n], damage: (entry) => put(entry, 8, 4, 100_000) }, 'corrupt'],
    ['has more than 512 MiB of bits', { table: [1n], damage: (entry) => put(entry, 8, 4, 2 ** 20 + 1) }, 'unsupported'],
  ])('because it %s is refused, and the image reads on', async (_, plan, code) => {
    const image = await Qcow2Image.open(imageOf(plan));
    await expect(ranges(image)).rejects.toMatchObject({
      code,
      details: { what: expect.stringContaining('bitmap "b"'), at: expect.any(Number) },
    });
    await image.read(0, new Uint8Array(1));
  });

  it('is read in spite of extra data that may be ignored', async () => {
    const image = await Qcow2Image.open(imageOf({ table: [1n], extraBytes: 8, flags: 4 }));
    expect(await ranges(image)).toEqual([{ start: 0, length: STRETCH }]);
  });
});
