/** A change that touches more clusters of bitmaps than memory or a call's arguments have room for. */
import { describe, expect, it } from 'vitest';
import { bufferDevice, Qcow2Image } from '../../src/index.js';
import { get, put } from '../support/big-endian.js';
import { FaultyDevice } from '../support/faulty-device.js';
import { QemuImage } from '../support/qemu-image.js';

const GIB = 2 ** 30;
const CLUSTER = 512;
const SIZE = 127 * GIB;
/** Table entries of a bitmap of granularity 512: each stands for a cluster of bits. */
const STRETCHES = SIZE / (CLUSTER * 8 * CLUSTER);
/** With refcounts of one bit. */
const PER_BLOCK = CLUSTER * 8;

/** The image with a cluster of clear bits for every entry of every bitmap's table, all of them counted. */
function withClusters(image: Uint8Array, tables: readonly number[]): Uint8Array {
  const first = Math.ceil(image.length / CLUSTER);
  const refcountTable = Number(get(image, 48, 8));
  const bits = tables.length * STRETCHES;
  const last = first + bits + Math.ceil((2 * bits) / PER_BLOCK);
  const bytes = new Uint8Array((last + 1) * CLUSTER);
  bytes.set(image);
  let block = first + bits;
  const blockOf = (cluster: number): number => {
    const entry = refcountTable + Math.floor(cluster / PER_BLOCK) * 8;
    if (get(bytes, entry, 8) === 0n) {
      put(bytes, entry, 8, block * CLUSTER);
      count(block++);
    }
    return Number(get(bytes, entry, 8));
  };
  const count = (cluster: number): void => {
    const bit = cluster % PER_BLOCK;
    const at = blockOf(cluster) + (bit >> 3);
    bytes[at] = bytes[at]! | (1 << (bit & 7));
  };
  for (let step = 0; step < bits; step++) {
    put(bytes, tables[Math.floor(step / STRETCHES)]! + (step % STRETCHES) * 8, 8, (first + step) * CLUSTER);
    count(first + step);
  }
  return bytes.subarray(0, block * CLUSTER);
}

describe('two bitmaps of granularity 512 on 127 GiB, whose bits all have a cluster', () => {
  const qemu = new QemuImage('many-ranges');

  it('are marked by one discard in bounded batches, and the image closes', { timeout: 600_000 }, async () => {
    qemu.create('cluster_size=512,refcount_bits=1', SIZE, { one: 512, two: 512 });
    const empty = qemu.read();
    const made = await Qcow2Image.open(empty);
    expect(made.bitmaps).toHaveLength(2);
    const text = new TextDecoder('latin1').decode(empty);
    const tables = ['one', 'two'].map((name) => Number(get(empty, text.lastIndexOf(name) - 24, 8)));
    qemu.write(withClusters(empty, tables));
    expect(qemu.check()).toEqual({ corruptions: 0, leaks: 0 });
    const device = bufferDevice(qemu.read());
    const counting = new FaultyDevice(device);
    const image = await Qcow2Image.open(counting, { mode: 'readwrite' });
    await image.discard(0, SIZE);
    await image.close();
    const batches = counting.calls.filter(({ call }) => call === 'write').map(({ transfers }) => transfers);
    expect(batches.reduce((sum, transfers) => sum + transfers, 0)).toBeGreaterThan(2 * STRETCHES);
    // 32 MiB of bits and of what holds them.
    expect(Math.max(...batches)).toBeLessThan(40_000);
    qemu.write(device.bytes());
    expect(qemu.check()).toEqual({ corruptions: 0, leaks: 0 });
    expect(qemu.bitmaps().map(({ flags }) => flags)).toEqual([['auto'], ['auto']]);
    const again = await Qcow2Image.open(device);
    for (const name of ['one', 'two']) {
      const { value } = await again.dirtyRanges(name).next();
      expect(value).toEqual({ start: 0, length: SIZE });
    }
  });
});
