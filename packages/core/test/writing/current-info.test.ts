/**
 * What an image that is being written says of itself: at every moment what whoever opened the file then would read in
 * it.
 */
import { describe, expect, it } from 'vitest';
import { bufferDevice, type ImageInfo, Qcow2Image } from '../../src/index.js';
import { noiseOf } from '../support/numbers.js';
import { QemuImage } from '../support/qemu-image.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const qemu = new QemuImage('current-info');

type Device = ReturnType<typeof bufferDevice>;

/** What the file says to a reader. */
async function reread(device: Device): Promise<ImageInfo> {
  await using image = await Qcow2Image.open(device.bytes());
  return image.info;
}

/** Opens for writing what qemu-img made. */
async function writing(bytes: Uint8Array): Promise<{ device: Device; image: Qcow2Image }> {
  const device = bufferDevice(bytes);
  return { device, image: await Qcow2Image.open(device, { mode: 'readwrite' }) };
}

function made(options: string, size = MIB, bitmaps: Readonly<Record<string, number>> = {}): Uint8Array {
  qemu.create(options, size, bitmaps);
  return qemu.read();
}

describe('while it is written', () => {
  it("is created again only when it has changed; if only the file's length has, the rest is reused", async () => {
    const { image } = await writing(made('cluster_size=64k'));
    await image.write(0, noiseOf(1, 10_000));
    const first = image.info;
    await image.write(100, noiseOf(2, 100));
    expect(image.info).toBe(first);
    await image.write(512 * KIB, noiseOf(2, 100));
    const { fileSize, ...rest } = image.info;
    expect(fileSize).toBeGreaterThan(first.fileSize);
    for (const [key, value] of Object.entries(rest)) expect(value).toBe(first[key as keyof ImageInfo]);
    await image.close();
  });

  it('an image with lazy refcounts is dirty, until it is closed', async () => {
    const { device, image } = await writing(made('cluster_size=4k,lazy_refcounts=on'));
    expect(image.info.dirty).toBe(false);
    await image.write(0, noiseOf(1, 10_000));
    expect(image.info.dirty).toBe(true);
    expect(image.info.features).toContainEqual({ kind: 'incompatible', bit: 0, name: 'dirty bit', known: true });
    expect(image.info).toEqual(await reread(device));
    await image.flush();
    expect(image.info).toEqual(await reread(device));
    await image.close();
    expect(image.info.dirty).toBe(false);
    expect(image.info).toEqual(await reread(device));
  });

  it('has the offset of the refcount table after it grew', async () => {
    const { device, image } = await writing(made('cluster_size=512', 16 * MIB));
    const before = image.info.header;
    await image.write(0, noiseOf(2, 16 * MIB));
    await image.flush();
    const { refcountTableOffset, refcountTableClusters } = image.info.header;
    expect(refcountTableOffset).not.toBe(before.refcountTableOffset);
    expect(refcountTableClusters).toBeGreaterThan(before.refcountTableClusters);
    expect(image.info).toEqual(await reread(device));
    await image.close();
    expect(image.info).toEqual(await reread(device));
  });

  it('has that offset in version 2, too, whose header ends before the feature bits', async () => {
    const { device, image } = await writing(made('cluster_size=512,compat=0.10', 16 * MIB));
    await image.write(0, noiseOf(3, 16 * MIB));
    await image.flush();
    expect(image.info.features).toEqual([]);
    expect(image.info).toEqual(await reread(device));
  });

  it('has unknown autoclear bits until the first change', async () => {
    const bytes = made('cluster_size=4k');
    bytes[88] = 0x80; // bit 63
    const { device, image } = await writing(bytes);
    expect(image.info.features).toContainEqual({ kind: 'autoclear', bit: 63, name: undefined, known: false });
    await image.write(0, noiseOf(4, 100));
    expect(image.info.features.filter(({ kind }) => kind === 'autoclear')).toEqual([]);
    await image.flush();
    expect(image.info).toEqual(await reread(device));
  });

  it('shows tracked bitmaps as in-use, as the file does, and they can be read', async () => {
    qemu.create('cluster_size=4k', MIB, { follows: 65_536, still: 65_536 });
    qemu.disableBitmap('still');
    const { device, image } = await writing(qemu.read());
    const before = image.info.bitmaps;
    expect(before.map(({ flags }) => flags)).toEqual([['auto'], []]);
    await image.write(0, noiseOf(5, 100));
    await image.flush();
    expect(image.bitmaps.map(({ flags }) => flags)).toEqual([['in-use', 'auto'], []]);
    expect(image.info).toEqual(await reread(device));
    expect(await image.dirtyRanges('follows').next()).toEqual({ done: false, value: { start: 0, length: 65_536 } });
    await image.close();
    expect(image.info.bitmaps).toEqual(before);
    expect(image.info).toEqual(await reread(device));
  });

  it('keeps the fields after the first sector of a long header', async () => {
    const { device, image } = await writing(longHeader(made('cluster_size=4k,lazy_refcounts=on')));
    expect(image.info.header.headerLength).toBe(1024);
    await image.write(0, noiseOf(6, 100));
    await image.flush();
    expect(image.info.dirty).toBe(true);
    expect(image.info).toEqual(await reread(device));
  });
});

/** The image with a header of 1024 bytes, whose bytes behind the first 105 have no known meaning; its extensions go. */
function longHeader(bytes: Uint8Array): Uint8Array {
  bytes.fill(0, 105, 2048);
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(100, 1024);
  return bytes;
}
