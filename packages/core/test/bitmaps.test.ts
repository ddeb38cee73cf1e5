/**
 * What persistent bitmaps mark: every kind of table entry, and what is refused. QEMU's own bitmaps are compared in
 * golden/.
 */
import { describe, expect, it } from 'vitest';
import { Qcow2Image, type Range } from '../src/index.js';
import { put } from './support/big-endian.js';
import { type BitmapPlan, bitmapImage, CLUSTER, STRETCH } from './support/bitmap-image.js';
import { RecordingSource } from './support/recording-source.js';

async function ranges(image: Qcow2Image): Promise<Range[]> {
  const found: Range[] = [];
  for await (const range of image.dirtyRanges('b')) found.push(range);
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
  it('is nothing, everything, or as its bits, and continues from one entry to the next', async () => {
    const plan = { table: [0n, bits(0, 9, 10, LAST), 1n, 1n, bits(0), bits(5)], size: 6 * STRETCH };
    expect(await ranges(await Qcow2Image.open(bitmapImage(plan)))).toEqual([
      { start: STRETCH, length: 512 },
      { start: STRETCH + 9 * 512, length: 1024 },
      { start: STRETCH + LAST * 512, length: 512 + 2 * STRETCH + 512 },
      { start: 5 * STRETCH + 5 * 512, length: 512 },
    ]);
  });

  it('ends with the disk, whatever the bits after its end are', async () => {
    const all = new Uint8Array(CLUSTER).fill(0xff);
    for (const last of [all, 1n]) {
      const plan = { table: [0n, last, 1n], size: STRETCH + 5 * 512 };
      expect(await ranges(await Qcow2Image.open(bitmapImage(plan)))).toEqual([{ start: STRETCH, length: 5 * 512 }]);
    }
    expect(await ranges(await Qcow2Image.open(bitmapImage({ table: [all], size: 0 })))).toEqual([]);
  });

  it('is in order, also over several batches', async () => {
    const even = new Uint8Array(CLUSTER).fill(0x55);
    const found = await ranges(await Qcow2Image.open(bitmapImage({ table: [even, even, even] })));
    expect(found).toHaveLength((3 * (LAST + 1)) / 2);
    expect(found.every(({ start, length }, index) => start === index * 1024 && length === 512)).toBe(true);
  });

  it('is read in two device calls: the table, and all bits at once', async () => {
    const source = new RecordingSource(bitmapImage({ table: Array.from({ length: 20 }, (_, i) => bits(i)) }));
    const image = await Qcow2Image.open(source);
    const before = (await image.stats()).deviceReads;
    await ranges(image);
    expect((await image.stats()).deviceReads - before).toBe(2);
  });

  it('is not available from a snapshot, a closed image, or with an aborted signal', async () => {
    const image = await Qcow2Image.open(bitmapImage({ table: [1n] }));
    const reason = new Error('enough');
    await expect(image.dirtyRanges('b', { signal: AbortSignal.abort(reason) }).next()).rejects.toBe(reason);
    await expect(image.dirtyRanges('c').next()).rejects.toMatchObject({ code: 'not-found', details: { name: 'c' } });
    await image.close();
    await expect(image.dirtyRanges('b').next()).rejects.toMatchObject({ code: 'closed' });
  });
});

describe('a bitmap that is not valid', () => {
  it.each<[string, BitmapPlan, 'corrupt' | 'unsupported']>([
    ['was in use', { table: [1n], flags: 1 }, 'corrupt'],
    ['has extra data that must be understood', { table: [1n], extraBytes: 8 }, 'unsupported'],
    ['has too short a table', { table: [1n], size: STRETCH + 512 }, 'corrupt'],
    ['sets the reserved bit 1', { table: [2n] }, 'corrupt'],
    ['sets the reserved bit 56', { table: [1n << 56n] }, 'corrupt'],
    ['has the all-ones bit beside an offset', { table: [0x1_0001n] }, 'corrupt'],
    ['has bits past the end of the file', { table: [1n << 40n] }, 'corrupt'],
    ['has its table at 0', { table: [1n], damage: (entry) => put(entry, 0, 8, 0) }, 'corrupt'],
    ['has its table between clusters', { table: [1n], damage: (entry) => put(entry, 0, 8, 700) }, 'corrupt'],
    ['has its table past the end', { table: [1n], damage: (entry) => put(entry, 0, 8, 1n << 40n) }, 'corrupt'],
    ['has a table longer than the file', { table: [1n], damage: (entry) => put(entry, 8, 4, 100_000) }, 'corrupt'],
    ['has more than 512 MiB of bits', { table: [1n], damage: (entry) => put(entry, 8, 4, 2 ** 20 + 1) }, 'unsupported'],
  ])('because it %s is refused, and the image can still be read', async (_, plan, code) => {
    const image = await Qcow2Image.open(bitmapImage(plan));
    await expect(ranges(image)).rejects.toMatchObject({
      code,
      details: { what: expect.stringContaining('bitmap "b"'), at: expect.any(Number) },
    });
    await image.read(0, new Uint8Array(1));
  });

  it('is read if its extra data may be ignored', async () => {
    const image = await Qcow2Image.open(bitmapImage({ table: [1n], extraBytes: 8, flags: 4 }));
    expect(await ranges(image)).toEqual([{ start: 0, length: STRETCH }]);
  });
});
