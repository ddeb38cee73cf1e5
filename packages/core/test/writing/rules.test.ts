/**
 * What an image may ask of whoever writes to it: marks, bits and fields that are unknown, damage, and what cannot be.
 */
import { describe, expect, it } from 'vitest';
import { type BlockDevice, bufferDevice, Qcow2Image } from '../../src/index.js';
import { put } from '../support/big-endian.js';
import { expectSame } from '../support/expect-same.js';
import { type BuiltImage, buildImage, type Cell, filled, type ImagePlan } from '../support/image-builder.js';
import { noiseOf } from '../support/numbers.js';
import { QemuFolder } from '../support/qemu.js';

const CLUSTER = 65_536;
const MIB = 1024 * 1024;
const folder = new QemuFolder('rules');

/**
 * Opens an image uncounted: what is tested here is the writer's own rules, most of them on images that a count would
 * refuse.
 */
const writing = (device: BlockDevice) => Qcow2Image.open(device, { mode: 'readwrite', verify: false });

/** The file after work on an image that is built to a plan, before and after. */
async function worked(plan: ImagePlan, work: (image: Qcow2Image) => Promise<void>): Promise<[Uint8Array, Uint8Array]> {
  const { bytes } = buildImage({ size: MIB, ...plan });
  const device = bufferDevice(bytes);
  const image = await writing(device);
  await work(image);
  await image.close();
  return [bytes, device.bytes()];
}

const u64 = (bytes: Uint8Array, at: number): bigint => new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(at);

describe('opening', () => {
  it('for reading returns an image that refuses every change', async () => {
    const image = await Qcow2Image.open(bufferDevice(buildImage({ size: MIB }).bytes));
    const refused = { name: 'Qcow2Error', code: 'read-only' };
    await expect(image.write(0, new Uint8Array(1))).rejects.toMatchObject(refused);
    await expect(image.writeZeroes(0, 1)).rejects.toMatchObject(refused);
    await expect(image.discard(0, 1)).rejects.toMatchObject(refused);
    expect(() => image.writable()).toThrow(expect.objectContaining(refused));
    expect(() => image.writeSync(0, new Uint8Array(1))).toThrow(expect.objectContaining(refused));
    await image.flush();
    image.flushSync();
    await image.close();
  });

  it.each([
    ['dirty', 1n],
    ['corrupt', 2n],
  ])('for writing refuses an image that is marked %s, which opens for reading', async (_, incompatible) => {
    const { bytes } = buildImage({ size: MIB, incompatible });
    await expect(writing(bufferDevice(bytes))).rejects.toMatchObject({ code: 'needs-repair', details: { at: 72 } });
    await (await Qcow2Image.open(bytes)).close();
  });

  it('refuses incompatible features that it does not know', async () => {
    const { bytes } = buildImage({ size: MIB, incompatible: 1n << 40n });
    await expect(writing(bufferDevice(bytes))).rejects.toMatchObject({ code: 'unsupported' });
  });

  it.each([
    ['a Blob', new Blob(['QFI'])],
    ['bytes', new Uint8Array(9)],
  ])('for writing refuses %s, which cannot be written', async (_, source) => {
    await expect(Qcow2Image.open(source, { mode: 'readwrite' })).rejects.toThrow();
    const image = buildImage({ size: MIB }).bytes;
    await expect(
      Qcow2Image.open(source instanceof Blob ? new Blob([image]) : image, { mode: 'readwrite' }),
    ).rejects.toThrow(TypeError);
  });

  it('refuses tables past the end of the file', async () => {
    const built = buildImage({ size: MIB });
    const bytes = built.bytes.slice();
    put(bytes, 48, 8, 2 ** 40);
    await expect(writing(bufferDevice(bytes))).rejects.toMatchObject({ code: 'corrupt' });
  });
});

describe('unknown parts', () => {
  it('the bits of autoclear features are cleared before the first change, and kept until then', async () => {
    const plan = { autoclear: (1n << 60n) | (1n << 5n) };
    const [before, untouched] = await worked(plan, (image) => image.flush());
    expectSame(untouched, before);
    const device = bufferDevice(before);
    const image = await writing(device);
    await image.write(0, new Uint8Array(1));
    expect(u64(device.bytes(), 88)).toBe(0n); // on the medium before anything else is, which the crash tests see to
    await image.close();
    const [, discarded] = await worked(plan, (image) => image.writeZeroes(0, CLUSTER));
    expect(u64(discarded, 88)).toBe(plan.autoclear); // nothing was there: nothing changed
  });

  it('the bits of compatible features, header fields and extensions are kept byte for byte', async () => {
    const headerLength = 160;
    const extensions = [
      { type: 0x1234_5678, data: noiseOf(1, 37) },
      { type: 0x0bad_cafe, data: noiseOf(2, 8) },
    ];
    const built = buildImage({ size: MIB, headerLength, compatible: 1n << 33n, extensions });
    const bytes = built.bytes.slice();
    bytes.set(noiseOf(3, headerLength - 112), 112);
    const device = bufferDevice(bytes);
    const image = await writing(device);
    for (let at = 0; at < MIB; at += CLUSTER) await image.write(at, noiseOf(at, CLUSTER));
    await image.discard(0, MIB);
    await image.close();
    expectSame(device.bytes().subarray(0, 512), bytes.subarray(0, 512));
  });

  it('are kept also when the refcount table moves, and the header has its new offset', async () => {
    const extensions = [{ type: 0x1234_5678, data: noiseOf(1, 37) }];
    const built = buildImage({ size: 4 * MIB, clusterBits: 9, refcountOrder: 6, compatible: 1n << 33n, extensions });
    const device = bufferDevice(built.bytes);
    const image = await writing(device);
    await image.write(0, noiseOf(9, 4 * MIB));
    await image.close();
    const [before, after] = [built.bytes.slice(0, 512), device.bytes().subarray(0, 512)];
    expect(u64(after, 48)).not.toBe(u64(before, 48));
    before.set(after.subarray(48, 60), 48);
    expectSame(after, before);
    folder.put('moved.qcow2', device.bytes());
    folder.img('check', '-f', 'qcow2', 'moved.qcow2');
    expectSame(folder.raw('moved.qcow2'), noiseOf(9, 4 * MIB));
  });
});

describe('an inconsistent image', () => {
  /** Opens a damaged image, and expects a change to be refused, the image marked corrupt, and nothing else written. */
  async function refuses(bytes: Uint8Array, change: (image: Qcow2Image) => Promise<void>, what: string): Promise<void> {
    const device = bufferDevice(bytes);
    const image = await writing(device);
    await expect(change(image)).rejects.toMatchObject({ code: 'corrupt', details: { what } });
    await expect(image.read(0, new Uint8Array(1))).rejects.toMatchObject({ code: 'failed' });
    await expect(image.close()).rejects.toMatchObject({ code: 'corrupt', details: { what } });
    expect(image.info.corrupt).toBe(true);
    const marked = device.bytes();
    expect(u64(marked, 72) & 2n).toBe(2n);
    put(marked, 79, 1, marked[79]! & ~2);
    expectSame(marked.subarray(0, bytes.length), bytes);
    await expect(writing(device)).rejects.toMatchObject({ code: 'needs-repair' });
  }

  const build = (entry: (built: BuiltImage) => number): Uint8Array => {
    const plan = { size: MIB, clusters: new Map<number, Cell>([[0, filled(1)]]) };
    const built = buildImage(plan);
    const bytes = built.bytes.slice();
    put(bytes, built.entryAt(0), 8, (1n << 63n) | BigInt(entry(built)));
    return bytes;
  };
  const write = (image: Qcow2Image) => image.write(0, noiseOf(1, 512));

  it('is not written over its L1 table', () =>
    refuses(
      build(({ l1 }) => l1),
      write,
      'L1 table',
    ));
  it('is not written over an L2 table', () =>
    refuses(
      build(({ entryAt }) => entryAt(0)),
      write,
      'L2 table',
    ));
  it('is not written over its refcount table', () =>
    refuses(
      build(({ refcountTable }) => refcountTable),
      write,
      'refcount table',
    ));
  it('is not written over a refcount block', () =>
    refuses(
      build(({ refcountBlocks }) => refcountBlocks[0]!),
      write,
      'refcount block',
    ));

  it('does not allocate a cluster of metadata with refcount 0', () => {
    const built = buildImage({ size: MIB, clusters: new Map([[0, filled(1)]]) });
    const bytes = built.bytes.slice();
    put(bytes, built.refcountBlocks[0]! + (built.l1 / CLUSTER) * 2, 2, 0);
    return refuses(bytes, (image) => image.write(CLUSTER, noiseOf(1, 512)), 'L1 table');
  });

  it.each([
    ['1 << 56, past the end of the file', () => 1n << 56n],
    ['the highest possible offset', () => 0xffff_ffff_ffff_f000n],
    ['with a bit set that must be zero', (sound: bigint) => sound | 1n],
    ['inside a cluster', (sound: bigint) => sound + 512n],
  ])('is not opened with an entry of the refcount table that is %s', async (_, entry) => {
    const size = 4096;
    const clusters = new Map(
      Array.from({ length: 2048 }, (_, cluster): [number, Cell] => [
        cluster,
        { kind: 'data', bytes: noiseOf(cluster, size) },
      ]),
    );
    const built = buildImage({ clusterBits: 12, size: 16 * MIB, refcountOrder: 6, clusters });
    expect(built.refcountBlocks.length).toBeGreaterThan(4);
    const bytes = built.bytes.slice();
    const at = built.refcountTable + 3 * 8;
    put(bytes, at, 8, entry(u64(bytes, at)));
    const device = bufferDevice(bytes);
    await expect(writing(device)).rejects.toMatchObject({ code: 'corrupt', details: { what: 'refcount block 3' } });
    expectSame(device.bytes(), bytes);
  });

  it('does not write to clusters that a damaged refcount block marks as free', () => {
    const built = buildImage({ size: MIB, clusters: new Map([[0, filled(1)]]) });
    const bytes = built.bytes.slice();
    bytes.fill(0, built.refcountBlocks[0]!, built.refcountBlocks[0]! + CLUSTER);
    return refuses(bytes, (image) => image.write(CLUSTER, noiseOf(1, CLUSTER)), 'header');
  });

  const snapshots = [{ id: '1', name: 'one' }];

  it.each([
    ['an L2 entry', (built: BuiltImage) => built.entryAt(0)],
    ['an L1 entry', (built: BuiltImage) => built.l1],
  ])("does not change a snapshot's cluster whose COPIED in %s is wrong", (_, entryOf) => {
    const built = buildImage({ size: MIB, clusters: new Map([[0, filled(1)]]), snapshots });
    const bytes = built.bytes.slice();
    put(bytes, entryOf(built), 8, u64(bytes, entryOf(built)) | (1n << 63n));
    // The L2 table is shared with the snapshot as well: for its entry to count, the disk needs one of its own.
    return refuses(entryOf(built) === built.l1 ? bytes : ownTable(built, bytes), write, 'refcount');
  });

  /** The image with a copy of its L2 table for the snapshot, so that the disk's is its own. */
  function ownTable(built: BuiltImage, bytes: Uint8Array): Uint8Array {
    const grown = new Uint8Array(bytes.length + CLUSTER);
    grown.set(bytes);
    const table = built.entryAt(0);
    grown.set(bytes.subarray(table, table + CLUSTER), bytes.length);
    const snapshotL1 = Number(u64(grown, built.snapshotTable));
    put(grown, snapshotL1, 8, bytes.length);
    put(grown, built.l1, 8, (1n << 63n) | BigInt(table));
    const block = built.refcountBlocks[0]!;
    put(grown, block + (table / CLUSTER) * 2, 2, 1);
    put(grown, block + (bytes.length / CLUSTER) * 2, 2, 1);
    return grown;
  }

  it('does not free what a snapshot may refer to, whatever its refcount says', async () => {
    const built = buildImage({ size: MIB, clusters: new Map([[0, filled(1)]]), snapshots });
    const bytes = built.bytes.slice();
    const data = Number(u64(bytes, built.entryAt(0)) & 0xff_ffff_ffff_fe00n);
    put(bytes, built.refcountBlocks[0]! + (data / CLUSTER) * 2, 2, 1);
    const device = bufferDevice(bytes);
    const image = await writing(device);
    await write(image);
    await image.flush();
    for (let at = CLUSTER; at < MIB; at += CLUSTER) await image.write(at, noiseOf(1, CLUSTER));
    await image.close();
    const view = await (await Qcow2Image.open(device.bytes())).openSnapshot('1');
    const into = new Uint8Array(CLUSTER);
    await view.read(0, into);
    expectSame(into, new Uint8Array(CLUSTER).fill(1));
  });

  it('frees the cluster of an entry without COPIED if there are no snapshots', async () => {
    const built = buildImage({ size: MIB, clusters: new Map([[0, filled(1)]]) });
    const bytes = built.bytes.slice();
    put(bytes, built.entryAt(0), 8, u64(bytes, built.entryAt(0)) & ~(1n << 63n));
    const device = bufferDevice(bytes);
    const image = await writing(device);
    await write(image);
    await image.close();
    const report = await (await Qcow2Image.open(device.bytes())).check();
    expect(report).toMatchObject({ corruptions: 0, leaks: 0 });
  });

  it('is refused when a freed cluster has no reference', async () => {
    const built = buildImage({ size: MIB, clusters: new Map([[0, filled(1)]]) });
    const bytes = built.bytes.slice();
    const data = Number(u64(bytes, built.entryAt(0)) & 0xff_ffff_ffff_fe00n);
    put(bytes, built.refcountBlocks[0]! + (data / CLUSTER) * 2, 2, 0);
    const device = bufferDevice(bytes);
    const image = await writing(device);
    await image.discard(0, CLUSTER);
    await expect(image.flush()).rejects.toMatchObject({ code: 'corrupt' });
    await image.close();
    expect(u64(device.bytes(), 72) & 2n).toBe(2n);
  });

  it('of version 2 is refused as well, though it has no corrupt bit', async () => {
    const built = buildImage({ version: 2, size: MIB, clusters: new Map([[0, filled(1)]]) });
    const bytes = built.bytes.slice();
    put(bytes, built.entryAt(0), 8, (1n << 63n) | BigInt(built.l1));
    const device = bufferDevice(bytes);
    const image = await writing(device);
    await expect(write(image)).rejects.toMatchObject({ code: 'corrupt' });
    await expect(write(image)).rejects.toMatchObject({ code: 'failed' });
    await expect(image.close()).rejects.toMatchObject({ code: 'corrupt' });
    expectSame(device.bytes(), bytes);
  });

  it('differs from a request for one damaged entry: nothing changes, and the rest can be written', async () => {
    const built = buildImage({ size: MIB, clusters: new Map([[0, filled(1)]]) });
    const bytes = built.bytes.slice();
    put(bytes, built.entryAt(0), 8, 512n);
    const device = bufferDevice(bytes);
    const image = await writing(device);
    const details = { what: 'L2 entry', at: built.entryAt(0) };
    await expect(write(image)).rejects.toMatchObject({ code: 'corrupt', details });
    await image.write(CLUSTER, noiseOf(1, CLUSTER));
    await image.close();
    expect(u64(device.bytes(), 72)).toBe(0n);
  });
});

describe('an entry that points past the end of the file', () => {
  it('is refused by the first and by later requests, and no cluster is allocated for it', async () => {
    const built = buildImage({ size: MIB, clusters: new Map([[1, filled(1)]]) });
    const bytes = built.bytes.slice();
    put(bytes, built.entryAt(1), 8, (1n << 63n) | (1n << 40n));
    const device = bufferDevice(bytes);
    const image = await writing(device);
    const refused = { code: 'corrupt', details: { what: 'L2 entry', at: built.entryAt(1) } };
    for (const offset of [0, CLUSTER]) {
      await expect(image.write(offset, noiseOf(1, 2 * CLUSTER - offset))).rejects.toMatchObject(refused);
      await image.write(2 * CLUSTER, noiseOf(1, CLUSTER)); // from now on there is a short way
    }
    put(bytes, built.entryAt(1), 8, 0n);
    await image.close();
    expect(device.size).toBeLessThan(2 ** 30);
    const { leaks } = await (await Qcow2Image.open(device.bytes())).check();
    expect(leaks).toBe(1); // the cluster that the entry led to before it was damaged
  });
});

describe('a change that is not possible', () => {
  it('is refused past the end of the disk, and for invalid numbers', async () => {
    const image = await writing(bufferDevice(buildImage({ size: MIB }).bytes));
    const outside = { code: 'out-of-range', details: { size: MIB } };
    await expect(image.write(MIB - 1, new Uint8Array(2))).rejects.toMatchObject(outside);
    await expect(image.writeZeroes(MIB, 1)).rejects.toMatchObject(outside);
    await expect(image.discard(0, MIB + 1)).rejects.toMatchObject(outside);
    expect(() => image.writable({ start: MIB + 1 })).toThrow(expect.objectContaining({ code: 'out-of-range' }));
    for (const offset of [-1, 0.5, Number.NaN, 2 ** 53]) {
      await expect(image.write(offset, new Uint8Array(1))).rejects.toThrow(RangeError);
      await expect(image.discard(0, offset)).rejects.toThrow(RangeError);
    }
    await expect(image.write(0, 'bytes' as never)).rejects.toThrow(TypeError);
    await image.write(MIB, new Uint8Array(0));
    await image.discard(MIB, 0);
    expect((await image.stats()).deviceWrites).toBe(0);
    await image.close();
    await expect(image.write(0, new Uint8Array(1))).rejects.toMatchObject({ code: 'closed' });
  });

  it('is refused on an encrypted disk', async () => {
    const { bytes } = buildImage({ size: MIB, encryption: 1, clusters: new Map([[0, filled(1)]]) });
    const device = bufferDevice(bytes);
    const image = await writing(device);
    await expect(image.write(0, noiseOf(1, 512))).rejects.toMatchObject({ code: 'unsupported' });
    await expect(image.discard(0, CLUSTER)).rejects.toMatchObject({ code: 'unsupported' });
    await image.close();
    expectSame(device.bytes(), bytes);
  });

  it('is not made: version 2 with a backing file has no zero flag, so a discard does nothing', async () => {
    const built = buildImage({ version: 2, size: MIB, backingName: 'base', clusters: new Map([[0, filled(1)]]) });
    const device = bufferDevice(built.bytes);
    const resolve = async () => ({ source: noiseOf(1, MIB), format: 'raw' as const });
    const image = await Qcow2Image.open(device, { mode: 'readwrite', resolve });
    await image.discard(0, MIB);
    await image.flush();
    expectSame(device.bytes(), built.bytes);
    await image.writeZeroes(0, 2 * CLUSTER, { unmap: true });
    const into = new Uint8Array(3 * CLUSTER);
    await image.read(0, into);
    await image.close();
    const expected = noiseOf(1, MIB).slice(0, 3 * CLUSTER);
    expected.fill(0, 0, 2 * CLUSTER);
    expectSame(into, expected);
  });

  it('is refused if it needs a missing file: the data file, or the backing file for parts of clusters', async () => {
    const backed = buildImage({ size: MIB, backingName: 'base' });
    const image = await writing(bufferDevice(backed.bytes));
    await expect(image.write(100, new Uint8Array(1))).rejects.toMatchObject({ code: 'reference-refused' });
    await image.write(CLUSTER, noiseOf(1, CLUSTER));
    await image.writeZeroes(2 * CLUSTER, CLUSTER);
    await image.close();
    folder.img('create', '-q', '-f', 'qcow2', '-o', 'data_file=data.raw', 'image.qcow2', String(MIB));
    const split = await writing(bufferDevice(folder.get('image.qcow2')));
    await expect(split.write(0, noiseOf(1, CLUSTER))).rejects.toMatchObject({ code: 'reference-refused' });
    await split.close();
  });
});
