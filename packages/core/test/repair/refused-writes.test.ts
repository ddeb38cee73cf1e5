/** Damaged images that a write would damage further: it is refused, the image is repaired, and can be written then. */
import { describe, expect, test } from 'vitest';
import { bufferDevice, Qcow2Image } from '../../src/index.js';
import { get, put } from '../support/big-endian.js';
import { expectSame } from '../support/expect-same.js';
import { type BuiltImage, buildImage, type Cell, filled } from '../support/image-builder.js';
import { noiseOf } from '../support/numbers.js';
import { QemuFolder } from '../support/qemu.js';
import { qemuChecks } from '../support/qemu-check.js';

const folder = new QemuFolder('refused-writes');
const CLUSTER = 65_536;
const MIB = 1024 * 1024;
const COPIED = 1n << 63n;
const OFFSET = 0x00ff_ffff_ffff_fe00n;
/** The byte of the header with the dirty and the corrupt bit. */
const MARKS = 79;

/** Two clusters of data, 1 and 2, on a disk of 64 MiB. */
function twoClusters(): BuiltImage {
  const clusters = new Map<number, Cell>([
    [0, filled(1)],
    [1, filled(2)],
  ]);
  return buildImage({ size: 64 * MIB, clusters });
}

const u64 = (bytes: Uint8Array, at: number): number => Number(get(bytes, at, 8) & OFFSET);
const write = (image: Qcow2Image): Promise<void> => image.write(0, noiseOf(1, 2 * CLUSTER + 512));

/** Changes an image without counting it first; nothing but the marks may differ then. Returns whether it is marked. */
async function refuses(bytes: Uint8Array, change: (image: Qcow2Image) => Promise<void>): Promise<boolean> {
  const device = bufferDevice(bytes);
  await expect(Qcow2Image.open(device, { mode: 'readwrite' })).rejects.toMatchObject({ name: 'Qcow2Error' });
  expectSame(device.bytes(), bytes);
  const image = await Qcow2Image.open(device, { mode: 'readwrite', verify: false }).catch((error: unknown) => error);
  if (image instanceof Qcow2Image) {
    await expect(change(image).then(() => image.flush())).rejects.toMatchObject({ name: 'Qcow2Error' });
    await image.close().catch((error: unknown) => expect(error).toMatchObject({ name: 'Qcow2Error' }));
  }
  const after = device.bytes();
  const isMarked = (after[MARKS]! & 2) !== 0;
  if (image instanceof Qcow2Image) expect(image.info.corrupt).toBe(isMarked);
  after[MARKS] = bytes[MARKS]!;
  expectSame(after.subarray(0, bytes.length), bytes);
  return isMarked;
}

/** The image after its repair, and then a write: clean for qemu-img and for us after each. */
async function repairedAndWritten(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const device = bufferDevice(bytes);
  const damaged = await Qcow2Image.open(device, { mode: 'repair' });
  const { after } = await damaged.repair({ fix: 'all' });
  await damaged.close();
  expect(after.findings).toEqual([]);
  expectClean(device.bytes());
  const repaired = device.bytes();
  const image = await Qcow2Image.open(device, { mode: 'readwrite' });
  expect(image.info).toMatchObject({ corrupt: false, dirty: false });
  await write(image);
  await image.close();
  expectClean(device.bytes());
  expectSame(folder.raw('image.qcow2').subarray(0, 2 * CLUSTER + 512), noiseOf(1, 2 * CLUSTER + 512));
  return repaired;
}

function expectClean(bytes: Uint8Array): void {
  folder.put('image.qcow2', bytes);
  expect(qemuChecks(folder.path, 'image.qcow2')).toMatchObject({ corruptions: 0, leaks: 0, checkErrors: 0 });
}

interface Damage {
  readonly name: string;
  readonly harm: (image: BuiltImage) => void;
  /** How many of the two clusters read as before after the repair. */
  readonly kept: 0 | 1 | 2;
  /** The image is marked corrupt: opening it is not refused already, and more is wrong than one entry. */
  readonly marked: boolean;
}

const emptyTable = ({ bytes, refcountTable }: BuiltImage): void => put(bytes, refcountTable, 8, 0);

const damages: readonly Damage[] = [
  {
    name: 'an L1 entry that leads to the L1 table',
    harm: ({ bytes, l1 }) => put(bytes, l1, 8, COPIED | BigInt(l1)),
    kept: 0,
    marked: true,
  },
  {
    name: 'an L2 entry that leads to the refcount block',
    harm: ({ bytes, entryAt, refcountBlocks }) => put(bytes, entryAt(0), 8, COPIED | BigInt(refcountBlocks[0]!)),
    kept: 1,
    marked: true,
  },
  {
    name: 'a header whose refcount is 0',
    harm: ({ bytes, refcountBlocks }) => put(bytes, refcountBlocks[0]!, 2, 0),
    kept: 2,
    marked: true,
  },
  {
    name: 'a refcount block inside a cluster',
    harm: ({ bytes, refcountTable }) => put(bytes, refcountTable, 8, get(bytes, refcountTable, 8) + 0x2a00n),
    kept: 2,
    marked: false,
  },
  {
    name: 'a refcount block inside a cluster, in an image that is marked dirty',
    harm: ({ bytes, refcountTable }) => {
      put(bytes, refcountTable, 8, 0xffff_2a00n);
      bytes[MARKS]! |= 1;
    },
    kept: 2,
    marked: false,
  },
  { name: 'an empty refcount table', harm: emptyTable, kept: 2, marked: true },
  {
    name: 'an empty refcount block',
    harm: ({ bytes, refcountBlocks }) => bytes.fill(0, refcountBlocks[0]!, refcountBlocks[0]! + CLUSTER),
    kept: 2,
    marked: true,
  },
  { name: 'a refcount table of no clusters', harm: ({ bytes }) => put(bytes, 56, 4, 0), kept: 2, marked: false },
  { name: 'a refcount table at the header', harm: ({ bytes }) => put(bytes, 48, 8, 0), kept: 2, marked: false },
  {
    name: 'an allocated cluster of zeros inside the header',
    harm: ({ bytes, entryAt }) => put(bytes, entryAt(0), 8, COPIED | 0x2a01n),
    kept: 1,
    marked: false,
  },
];

describe('a write is refused, and possible after a repair:', () => {
  test.each(damages)('$name', async ({ harm, kept, marked }) => {
    const { bytes, ...image } = twoClusters();
    harm({ bytes, ...image });
    expect(await refuses(bytes, write)).toBe(marked);
    const after = await Qcow2Image.open(await repairedAndWritten(bytes));
    for (let cluster = 2 - kept; cluster < 2; cluster++) {
      expectSame(await after.read(cluster * CLUSTER, CLUSTER), new Uint8Array(CLUSTER).fill(cluster + 1));
    }
  });

  test('an empty refcount table of an empty disk', async () => {
    const image = buildImage({ size: 64 * MIB });
    emptyTable(image);
    expect(await refuses(image.bytes, write)).toBe(true);
    await repairedAndWritten(image.bytes);
  });

  test('an L2 entry that leads to an L2 table of a snapshot, which keeps its data', async () => {
    folder.img('create', '-q', '-f', 'qcow2', 'image.qcow2', '64M');
    folder.io('image.qcow2', 'write -P 1 0 64k');
    folder.img('snapshot', '-c', 'one', 'image.qcow2');
    folder.io('image.qcow2', 'write -P 2 0 64k');
    const bytes = folder.get('image.qcow2');
    const ofSnapshot = u64(bytes, u64(bytes, u64(bytes, 64)));
    put(bytes, u64(bytes, u64(bytes, 40)), 8, COPIED | BigInt(ofSnapshot));
    const opening = Qcow2Image.open(bufferDevice(bytes), { mode: 'readwrite' });
    await expect(opening).rejects.toMatchObject({ code: 'corrupt' });
    await repairedAndWritten(bytes);
    expectSame(folder.raw('image.qcow2', 'one').subarray(0, CLUSTER), new Uint8Array(CLUSTER).fill(1));
  });
});

test('writes that could take an L2 table for free are refused before one copies from the backing file', async () => {
  const far = 8192;
  const clusters = new Map<number, Cell>([
    [0, filled(1)],
    [far, filled(2)],
  ]);
  const built = buildImage({ version: 2, size: 1024 * MIB, backingName: 'base', clusters });
  const { bytes, refcountBlocks, entryAt } = built;
  // Free are the first cluster's, which the copy would take, and by mistake the second L2 table.
  for (const at of [u64(bytes, entryAt(0)), entryAt(far)]) put(bytes, refcountBlocks[0]! + (at / CLUSTER) * 2, 2, 0);
  put(bytes, entryAt(0), 8, 0);
  const source = { size: 1024 * MIB, read: () => Promise.reject(new Error('was read')) };
  const device = bufferDevice(bytes);
  const resolve = async () => ({ source, format: 'raw' as const });
  const image = await Qcow2Image.open(device, { mode: 'readwrite', verify: false, resolve });
  const writes = [image.write(0, new Uint8Array(1024)), image.write(CLUSTER, noiseOf(1, CLUSTER))];
  const refused = { code: 'corrupt', details: { what: 'L2 table', at: entryAt(far) } };
  expect(await Promise.allSettled(writes)).toMatchObject([{ reason: refused }, { reason: { code: 'failed' } }]);
  await expect(image.close()).rejects.toMatchObject(refused);
  expectSame(device.bytes(), bytes);
});

describe('two entries that lead inside clusters', () => {
  const damaged = (): BuiltImage => {
    const image = twoClusters();
    for (const cluster of [0, 1])
      put(image.bytes, image.entryAt(cluster), 8, get(image.bytes, image.entryAt(cluster), 8) | 0x2a00n);
    return image;
  };
  const refused = ({ entryAt }: BuiltImage, cluster: number) => ({
    code: 'corrupt',
    details: { what: 'L2 entry', at: entryAt(cluster) },
  });

  test('are refused at each read of an image that cannot be written', async () => {
    const built = damaged();
    const image = await Qcow2Image.open(built.bytes);
    for (let time = 0; time < 2; time++) await expect(image.read(0, CLUSTER)).rejects.toMatchObject(refused(built, 0));
    expect(image.info.corrupt).toBe(false);
    await image.close();
  });

  test('are refused at a discard of one and a read of the other, which change nothing', async () => {
    const built = damaged();
    const device = bufferDevice(built.bytes);
    const image = await Qcow2Image.open(device, { mode: 'readwrite', verify: false });
    await expect(image.discard(0, CLUSTER)).rejects.toMatchObject(refused(built, 0));
    await expect(image.read(CLUSTER, CLUSTER)).rejects.toMatchObject(refused(built, 1));
    await image.close();
    expectSame(device.bytes(), built.bytes);
  });
});
