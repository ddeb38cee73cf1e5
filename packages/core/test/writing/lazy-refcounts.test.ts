/**
 * Lazy refcounts: an image that is not closed is dirty until it is repaired. While the refcount structures grow, what
 * the header leads to stays, and QEMU repairs what a power cut leaves.
 */
import { describe, expect, it } from 'vitest';
import { bufferDevice, Qcow2Image } from '../../src/index.js';
import { get } from '../support/big-endian.js';
import { expectSame } from '../support/expect-same.js';
import { noiseOf } from '../support/numbers.js';
import { QemuFolder } from '../support/qemu.js';

const MIB = 1024 * 1024;
const CLUSTER = 512;
const WRITTEN = noiseOf(3, 4096);
const folder = new QemuFolder('lazy');

/** The refcount table that the header leads to: `refcount_table_offset` at 48, `refcount_table_clusters` at 56. */
function refcountTable(image: Uint8Array): Uint8Array {
  const at = Number(get(image, 48, 8));
  return image.slice(at, at + Number(get(image, 56, 4)) * CLUSTER);
}

describe('an image with lazy refcounts whose refcount table moves', () => {
  it('keeps the table that its header points to, and QEMU repairs it after a power cut', async () => {
    // 64 refcounts a block and 64 blocks a table of one cluster: it moves when the file passes 2 MiB.
    const device = bufferDevice();
    const options = { size: 8 * MIB, clusterSize: CLUSTER, refcountBits: 64, lazyRefcounts: true };
    const image = await Qcow2Image.create(device, options);
    const disk = noiseOf(1, 3 * MIB + CLUSTER);
    await image.write(0, disk);
    await image.flush();
    const before = refcountTable(device.bytes());
    // One cluster goes to the first free one: the old table's, which that flush gave up.
    await image.write(disk.length, noiseOf(2, CLUSTER));
    const crashed = device.bytes();
    expectSame(refcountTable(crashed), before);
    folder.put('crashed.qcow2', crashed);
    const repair = folder.tryImg('check', '-q', '-r', 'all', '-f', 'qcow2', 'crashed.qcow2');
    expect(repair, repair.out + repair.error).toMatchObject({ status: 0 });
    const clean = folder.tryImg('check', '-f', 'qcow2', 'crashed.qcow2');
    expect(clean, clean.out + clean.error).toMatchObject({ status: 0 });
    expectSame(folder.raw('crashed.qcow2').subarray(0, disk.length), disk);
    await image.close();
  });
});

/** What is on the medium when a process ends after a write and a flush, without closing the image. */
async function leftBehind(lazyRefcounts: boolean): Promise<Uint8Array<ArrayBuffer>> {
  const device = bufferDevice();
  const image = await Qcow2Image.create(device, { size: 128 * MIB, lazyRefcounts });
  await image.write(0, WRITTEN);
  await image.flush();
  const bytes = device.bytes();
  await image.close();
  return bytes;
}

describe('an image that was not closed after a write', () => {
  it('is marked dirty with lazy refcounts, can be read as it is, and is repaired with its data', async () => {
    const bytes = await leftBehind(true);
    const image = await Qcow2Image.open(bytes);
    expect(image.info.dirty).toBe(true);
    expectSame(await image.read(0, WRITTEN.length), WRITTEN);
    expect((await image.check()).corruptions).toBeGreaterThan(0);
    const device = bufferDevice(bytes);
    const damaged = await Qcow2Image.open(device, { mode: 'repair' });
    await damaged.repair({ fix: 'all' });
    await damaged.close();
    folder.put('repaired.qcow2', device.bytes());
    folder.img('check', '-f', 'qcow2', 'repaired.qcow2');
    expectSame(folder.raw('repaired.qcow2').subarray(0, WRITTEN.length), WRITTEN);
    const repaired = await Qcow2Image.open(device, { mode: 'readwrite' });
    expect(repaired.info.dirty).toBe(false);
    await repaired.close();
  });

  it('is not marked dirty without lazy refcounts, and QEMU finds nothing wrong with it', async () => {
    const bytes = await leftBehind(false);
    expect((await Qcow2Image.open(bytes)).info.dirty).toBe(false);
    folder.put('left.qcow2', bytes);
    folder.img('check', '-f', 'qcow2', 'left.qcow2');
    expectSame(folder.raw('left.qcow2').subarray(0, WRITTEN.length), WRITTEN);
  });
});
