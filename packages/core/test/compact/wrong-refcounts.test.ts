/**
 * Compacts images whose refcounts are higher than the references: a crash leaves such leaks, also of L2 tables. Nothing
 * is lost, and the refcounts are right then.
 */
import { deflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { type BlockDevice, bufferDevice, Qcow2Image } from '../../src/index.js';
import { get, put } from '../support/big-endian.js';
import { expectSame } from '../support/expect-same.js';
import { buildImage, type Cell, filled } from '../support/image-builder.js';
import { noiseOf } from '../support/numbers.js';
import { QemuFolder } from '../support/qemu.js';

const CLUSTER = 4096;
const PER_TABLE = CLUSTER / 8;
const IMAGE = 'image.qcow2';
const COPIED = 1n << 63n;

const folder = new QemuFolder('wrong-refcounts');

/** The figures of qemu-img's check; 3 is the status for leaks alone. */
function checked(bytes: Uint8Array): { status: number | null; out: string } {
  folder.put(IMAGE, bytes);
  const { status, out, error } = folder.tryImg('check', '-f', 'qcow2', IMAGE);
  return { status, out: out + error };
}

/** A compressed cluster of `noise` bytes that do not compress, and zeros. */
function stream(seed: number, noise: number): Cell {
  return { kind: 'compressed', payload: deflateRawSync(content(seed, noise), { windowBits: 12 }) };
}

function content(seed: number, noise: number): Uint8Array {
  return noiseOf(seed, CLUSTER).fill(0, noise);
}

/** Counts the L2 table of an L1 entry once too often: the entry loses COPIED, as its refcount says. */
function leakTable({ bytes, l1, refcountBlocks }: ReturnType<typeof buildImage>, entry: number): void {
  const word = get(bytes, l1 + 8 * entry, 8) & ~COPIED;
  put(bytes, l1 + 8 * entry, 8, word);
  const cluster = Number(word & 0x00ff_ffff_ffff_fe00n) / CLUSTER;
  put(bytes, refcountBlocks[Math.floor(cluster / (CLUSTER / 2))]! + (cluster % (CLUSTER / 2)) * 2, 2, 2);
}

describe('an L2 table that is counted too often', () => {
  it.each([1, 12, 60, 100])('keeps its compressed clusters, with %d free clusters', async (free) => {
    const clusters = new Map<number, Cell>();
    const expected = new Uint8Array(3 * PER_TABLE * CLUSTER);
    for (let index = 0; index < 300; index++) {
      for (const cluster of [index, PER_TABLE + index]) {
        clusters.set(cluster, stream(cluster + 1, 560));
        expected.set(content(cluster + 1, 560), cluster * CLUSTER);
      }
    }
    const built = buildImage({ clusterBits: 12, size: expected.length, free, clusters });
    leakTable(built, 1);
    expect(checked(built.bytes).status).toBe(3);
    const file = bufferDevice(built.bytes);
    const image = await Qcow2Image.open(file, { mode: 'readwrite' });
    await image.compact();
    expectSame(await image.read(0, image.size), expected);
    await image.close();
    expect(checked(file.bytes())).toMatchObject({ status: 0 });
    expectSame(folder.raw(IMAGE), expected);
  });

  it('may be copied by a write in the middle of a compaction', async () => {
    const count = 4 * PER_TABLE;
    const clusters = new Map<number, Cell>();
    const expected = new Uint8Array(count * CLUSTER);
    for (let index = 0; index < count; index++) {
      expected.fill(index === 5 ? 0xee : (index % 250) + 1, index * CLUSTER, (index + 1) * CLUSTER);
      if (index !== 5) clusters.set(index, filled((index % 250) + 1, CLUSTER));
    }
    const built = buildImage({ clusterBits: 12, size: expected.length, free: 1700, clusters });
    leakTable(built, 0);
    const file = bufferDevice(built.bytes);
    let writing: Promise<void> | null = null;
    const device: BlockDevice = {
      get size() {
        return file.size;
      },
      read: (transfers) => file.read(transfers),
      // The first large write is the copy of a batch.
      write(transfers) {
        const length = transfers.reduce((sum, { bytes }) => sum + bytes.length, 0);
        if (writing === null && length > 2 ** 20) {
          writing = Promise.resolve().then(() => image.write(5 * CLUSTER, new Uint8Array(CLUSTER).fill(0xee)));
        }
        return Promise.resolve(file.write(transfers));
      },
      truncate: (size) => file.truncate(size),
      flush: () => file.flush(),
    };
    const image = await Qcow2Image.open(device, { mode: 'readwrite' });
    await image.compact();
    await writing;
    expect(writing).not.toBe(null);
    expectSame(await image.read(0, image.size), expected);
    await image.close();
    expect(checked(file.bytes())).toMatchObject({ status: 0 });
    expectSame(folder.raw(IMAGE), expected);
  });

  it('is copied with the flags of its entries, so that the image can be opened for writing again', async () => {
    const clusters = new Map([0, 1, 2].map((cluster) => [cluster, filled(cluster + 1, CLUSTER)] as const));
    const built = buildImage({ clusterBits: 12, size: 64 * CLUSTER, clusters });
    leakTable(built, 0);
    const file = bufferDevice(built.bytes);
    const image = await Qcow2Image.open(file, { mode: 'readwrite' });
    await image.write(7 * CLUSTER, new Uint8Array(CLUSTER).fill(7));
    await image.close();
    expect(checked(file.bytes()).status).toBe(3);
    await (await Qcow2Image.open(file, { mode: 'readwrite' })).close();
  });
});

it('compacts what a power cut leaves after a table was copied that a snapshot shares', async () => {
  const clusters = new Map<number, Cell>();
  for (let index = 0; index < 300; index++) {
    clusters.set(PER_TABLE + index, stream(1000 + index, 700));
    clusters.set(index, stream(1 + index, 700));
  }
  const { bytes } = buildImage({
    clusterBits: 12,
    size: 2 * PER_TABLE * CLUSTER,
    free: 30,
    clusters,
    snapshots: [{ id: '1', name: 'one' }],
  });
  const file = bufferDevice(bytes);
  let flushed = file.bytes().slice();
  const device: BlockDevice = {
    get size() {
      return file.size;
    },
    read: (transfers) => file.read(transfers),
    write: (transfers) => file.write(transfers),
    truncate: (size) => file.truncate(size),
    flush() {
      flushed = file.bytes().slice();
    },
  };
  const image = await Qcow2Image.open(device, { mode: 'readwrite' });
  await image.write(400 * CLUSTER, new Uint8Array(CLUSTER).fill(9));
  await image.flush();
  const cut = bufferDevice(flushed.slice());
  expect(checked(cut.bytes()).status).toBe(3);
  const expected = folder.raw(IMAGE);
  const again = await Qcow2Image.open(cut, { mode: 'readwrite' });
  await again.compact();
  await again.close();
  expect(checked(cut.bytes())).toMatchObject({ status: 0 });
  expectSame(folder.raw(IMAGE), expected);
});

it('frees a leak whose refcount no number is exact for', async () => {
  const built = buildImage({
    clusterBits: 12,
    refcountOrder: 6,
    size: 64 * CLUSTER,
    leaked: 3,
    clusters: new Map([[0, filled(1, CLUSTER)]]),
  });
  const { findings } = await (await Qcow2Image.open(built.bytes)).check();
  const [place] = findings[0]!.places;
  put(built.bytes, built.refcountBlocks[0]! + (place!.at / CLUSTER) * 8, 8, 2n ** 53n + 3n);
  const file = bufferDevice(built.bytes);
  const image = await Qcow2Image.open(file, { mode: 'readwrite' });
  await image.compact();
  await image.close();
  expect(checked(file.bytes()).status).toBe(0);
});

it('does not stop the event loop for an image with all streams in one cluster', async () => {
  const clusterBits = 21;
  const size = 2 ** clusterBits;
  const streams = 131_072 + 4000;
  // Header, refcount table and block, L1 table, L2 table, a free cluster, streams.
  const bytes = new Uint8Array(7 * size);
  put(bytes, 0, 4, 0x514649fb);
  put(bytes, 4, 4, 3);
  put(bytes, 20, 4, clusterBits);
  put(bytes, 24, 8, BigInt(2 ** 18) * BigInt(size));
  put(bytes, 36, 4, 1);
  put(bytes, 40, 8, 3 * size);
  put(bytes, 48, 8, size);
  put(bytes, 56, 4, 1);
  put(bytes, 96, 4, 5);
  put(bytes, 100, 4, 104);
  put(bytes, size, 8, 2 * size);
  for (let cluster = 0; cluster < 5; cluster++) put(bytes, 2 * size + cluster * 4, 4, 1);
  put(bytes, 2 * size + 6 * 4, 4, streams);
  put(bytes, 3 * size, 8, BigInt(4 * size) | COPIED);
  for (let index = 0; index < streams; index++) {
    put(bytes, 4 * size + index * 8, 8, (1n << 62n) | BigInt(6 * size + index * 8));
  }
  const image = await Qcow2Image.open(bufferDevice(bytes), { mode: 'readwrite' });
  let longest = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }, 5);
  await image.compact();
  await new Promise((resolve) => setTimeout(resolve, 20));
  clearInterval(timer);
  // It was 15 ms for each stream beyond the bound.
  expect(longest).toBeLessThan(20_000);
  await image.close();
}, 120_000);
