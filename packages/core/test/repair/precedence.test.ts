/**
 * Damage of one field, after which most of an image can be read: a repair loses no more than that, and what it loses it
 * says. The active disk has precedence over snapshots, and tables that are in use over fields that lead to them.
 */
import { describe, expect, it } from 'vitest';
import { bufferDevice, Qcow2Image, type RepairReport } from '../../src/index.js';
import { repairDevice } from '../../src/verbs/repair/repair.js';
import { get, put } from '../support/big-endian.js';
import { expectSame } from '../support/expect-same.js';
import { type BuiltImage, buildImage, filled } from '../support/image-builder.js';
import { QemuFolder } from '../support/qemu.js';

const KIB = 1024;
const CLUSTER = 64 * KIB;
const IMAGE = 'image.qcow2';
const COPIED = 1n << 63n;

const folder = new QemuFolder('precedence');

/** An image of QEMU's, with 64 KiB of data at the beginning, and at 128 KiB. */
function qemuImage(size: string, options = ''): Uint8Array<ArrayBuffer> {
  const set = options === '' ? [] : ['-o', options];
  folder.img('create', '-q', '-f', 'qcow2', ...set, IMAGE, size);
  folder.io(IMAGE, 'write -P 1 0 64k', 'write -P 2 128k 64k');
  return folder.get(IMAGE);
}

function mixed(names: readonly string[], more: Partial<Parameters<typeof buildImage>[0]> = {}): BuiltImage {
  const clusters = new Map([0, 1, 2].map((cluster) => [cluster, filled(cluster + 1)] as const));
  const snapshots = names.map((name, index) => ({ id: String(index + 1), name }));
  return buildImage({ size: 64 * 2 ** 20, clusters, snapshots, ...more });
}

/** Repairs; both checks find nothing then, a dry run says the same, and a second repair has nothing to do. */
async function repaired(bytes: Uint8Array): Promise<{ bytes: Uint8Array<ArrayBuffer>; report: RepairReport }> {
  const dry = await repairDevice(bufferDevice(bytes.slice()), { fix: 'all', dryRun: true });
  const device = bufferDevice(bytes.slice());
  const report = await repairDevice(device, { fix: 'all' });
  expect(dry).toEqual(report);
  expect(report.after.findings).toEqual([]);
  folder.put(IMAGE, device.bytes());
  const check = folder.tryImg('check', '-f', 'qcow2', IMAGE);
  expect(check, check.out + check.error).toMatchObject({ status: 0 });
  const again = await repairDevice(bufferDevice(device.bytes()), { fix: 'all' });
  expect([again.repairs, again.lost, again.dropped]).toEqual([[], [], []]);
  return { bytes: device.bytes(), report };
}

async function disk(bytes: Uint8Array, length: number): Promise<Uint8Array> {
  await using image = await Qcow2Image.open(bytes.slice());
  return image.read(0, length);
}

const ranges = ({ lost }: RepairReport) => lost.map(({ start, length, snapshot }) => [start, length, snapshot]);

describe('one bit of the header', () => {
  it.each([65, 5, 17])('refcount_table_clusters of %d loses nothing', async (clusters) => {
    const damaged = qemuImage('64M');
    const before = await disk(damaged, 4 * CLUSTER);
    put(damaged, 56, 4, clusters);
    const { bytes, report } = await repaired(damaged);
    expect(report.lost).toEqual([]);
    expectSame(await disk(bytes, 4 * CLUSTER), before);
  });

  it.each([
    ['', 13],
    ['', 14],
    ['', 15],
    ['cluster_size=4k', 9],
    ['cluster_size=4k', 12],
  ])('l1_size with another bit loses nothing: %s, bit %d', async (options, bit) => {
    const damaged = qemuImage('2M', options);
    const before = await disk(damaged, 4 * CLUSTER);
    put(damaged, 36, 4, get(damaged, 36, 4) ^ (1n << BigInt(bit)));
    // Past the end of the file it is refused.
    const l1End = Number(get(damaged, 40, 8) + get(damaged, 36, 4) * 8n);
    if (l1End > damaged.length) return;
    const { bytes, report } = await repaired(damaged);
    expect(report.lost).toEqual([]);
    expectSame(await disk(bytes, 4 * CLUSTER), before);
  });

  it('l1_table_offset of 0 is refused, and nothing is written', async () => {
    const { bytes } = mixed([]);
    put(bytes, 40, 8, 0);
    const device = bufferDevice(bytes);
    await expect(repairDevice(device, { fix: 'all' })).rejects.toMatchObject({ code: 'corrupt' });
    await expect(repairDevice(device, { fix: 'leaks' })).rejects.toMatchObject({ code: 'corrupt' });
    expectSame(device.bytes(), bytes);
  });

  it('a snapshot table on an L2 table of the disk is dropped', async () => {
    for (const names of [[], ['one']]) {
      const image = mixed(names);
      const before = await disk(image.bytes, 4 * CLUSTER);
      put(image.bytes, 60, 4, 1);
      put(image.bytes, 64, 8, image.entryAt(0) - (image.entryAt(0) % CLUSTER));
      const { bytes, report } = await repaired(image.bytes);
      expect(report.lost).toEqual([]);
      expect(report.dropped).toMatchObject([{ kind: 'snapshot' }]);
      expectSame(await disk(bytes, 4 * CLUSTER), before);
    }
  });
});

describe('snapshots', () => {
  it('do not go with one whose L1 table is too long', async () => {
    const image = mixed(['one', 'two', 'three']);
    image.bytes[image.snapshotTable + 8]! ^= 0x10;
    const { bytes, report } = await repaired(image.bytes);
    expect(report.dropped.map(({ name }) => name)).toEqual(['one']);
    expect((await Qcow2Image.open(bytes)).snapshots.map(({ name }) => name)).toEqual(['two', 'three']);
  });

  it('stay when one has no id, as QEMU leaves them', async () => {
    const snapshots = [
      { id: '', name: 'one' },
      { id: '2', name: 'two' },
    ];
    const image = mixed([], { snapshots, leaked: 1 });
    const { bytes, report } = await repaired(image.bytes);
    expect(report.dropped).toEqual([]);
    expect((await Qcow2Image.open(bytes)).snapshots.map(({ name }) => name)).toEqual(['one', 'two']);
  });

  it('keep their L1 tables, to which an entry of the disk leads by mistake', async () => {
    for (const entry of [0, 1]) {
      const image = mixed(['one'], { size: 2 * 512 * 2 ** 20 });
      const snapshotL1 = get(image.bytes, image.snapshotTable, 8);
      put(image.bytes, image.l1 + 8 * entry, 8, snapshotL1);
      const { bytes, report } = await repaired(image.bytes);
      expect(report.dropped).toEqual([]);
      expect(ranges(report)).toEqual([[entry * 512 * 2 ** 20, 512 * 2 ** 20, undefined]]);
      const view = await (await Qcow2Image.open(bytes)).openSnapshot('one');
      const expected = new Uint8Array(4 * CLUSTER).fill(1, 0, CLUSTER).fill(2, CLUSTER, 2 * CLUSTER);
      expectSame(await view.read(0, 4 * CLUSTER), expected.fill(3, 2 * CLUSTER, 3 * CLUSTER));
    }
  });

  it('take no cluster from the disk that one of them calls a table', async () => {
    const clusters = new Map([0, 1].map((cluster) => [cluster, filled(cluster + 0x51)] as const));
    const image = buildImage({ size: 64 * 2 ** 20, clusters, snapshots: [{ id: '1', name: 'one' }] });
    const before = await disk(image.bytes, 2 * CLUSTER);
    const host = get(image.bytes, image.entryAt(1), 8) & 0x00ff_ffff_ffff_fe00n;
    const snapshotL1 = Number(get(image.bytes, image.snapshotTable, 8));
    put(image.bytes, snapshotL1, 8, host);
    const { bytes, report } = await repaired(image.bytes);
    expect(ranges(report)).toEqual([[0, 64 * 2 ** 20, '1']]);
    expectSame(await disk(bytes, 2 * CLUSTER), before);
  });
});

it('keeps zeros of the disk, over a backing file, that a snapshot calls a table', async () => {
  folder.put('base.raw', new Uint8Array(2 ** 20).fill(7));
  for (const version of [2, 3] as const) {
    const clusters = new Map([0, 1].map((cluster) => [cluster, filled(cluster === 1 ? 0 : 9)] as const));
    const backing = { version, backingName: 'base.raw', size: 2 ** 20 };
    const image = mixed(['one'], { clusters, ...backing });
    const host = get(image.bytes, image.entryAt(1), 8) & 0x00ff_ffff_ffff_fe00n;
    put(image.bytes, Number(get(image.bytes, image.snapshotTable, 8)), 8, host);
    const { bytes, report } = await repaired(image.bytes);
    expect(ranges(report)).toEqual([[0, 2 ** 20, '1']]);
    expect(get(bytes, image.entryAt(1), 8)).toBe(host | COPIED);
  }
});

describe('an entry that leads past the end of the file', () => {
  it('is lost at every place of its table', async () => {
    const image = buildImage({ clusterBits: 12, size: 4 * 2 ** 20, clusters: new Map([[0, filled(1, 4096)]]) });
    put(image.bytes, image.l1 + 8, 8, get(image.bytes, image.l1, 8));
    put(image.bytes, image.entryAt(1), 8, 1n << 40n);
    const { report } = await repaired(image.bytes);
    expect(ranges(report)).toEqual([
      [4096, 4096, undefined],
      [2 ** 21 + 4096, 4096, undefined],
    ]);
  });

  it('loses nothing where it says that the cluster is zeros', async () => {
    const image = mixed([]);
    put(image.bytes, image.entryAt(5), 8, (1n << 40n) | 1n);
    const { report } = await repaired(image.bytes);
    expect(report.lost).toEqual([]);
  });

  it('loses the subclusters that are there, and no others', async () => {
    folder.put('base.raw', new Uint8Array(2 ** 20).fill(7));
    folder.img('create', '-q', '-f', 'qcow2', '-o', 'extended_l2=on', '-b', 'base.raw', '-F', 'raw', IMAGE, '1M');
    folder.io(IMAGE, 'write -P 1 0 2k', 'write -z 4k 2k');
    const bytes = folder.get(IMAGE);
    const table = Number(get(bytes, Number(get(bytes, 40, 8)), 8) & 0x00ff_ffff_ffff_fe00n);
    put(bytes, table, 8, (1n << 40n) | COPIED);
    const { report, bytes: after } = await repaired(bytes);
    expect(ranges(report)).toEqual([[0, 2048, undefined]]);
    const image = await Qcow2Image.open(after, {
      resolve: async () => ({ source: folder.get('base.raw'), format: 'raw' }),
    });
    const expected = new Uint8Array(CLUSTER).fill(7).fill(0, 0, 2048).fill(0, 4096, 6144);
    expectSame(await image.read(0, CLUSTER), expected);
  });
});

it('keeps all of a disk whose data file is raw, when an L2 table is lost', async () => {
  folder.img('create', '-q', '-f', 'qcow2', '-o', 'data_file=data.raw,data_file_raw=on', IMAGE, '1M');
  folder.io(IMAGE, 'write -P 3 0 1M');
  const damaged = folder.get(IMAGE);
  put(damaged, Number(get(damaged, 40, 8)), 8, 1n << 40n);
  const { report } = await repaired(damaged);
  expect(report.lost).toEqual([]);
  expect(folder.tryImg('compare', '-f', 'qcow2', '-F', 'raw', IMAGE, 'data.raw')).toMatchObject({ status: 0 });
});

it('keeps subclusters of a raw data file, whose host is gone', async () => {
  const options = 'data_file=data.raw,data_file_raw=on,extended_l2=on';
  folder.img('create', '-q', '-f', 'qcow2', '-o', options, IMAGE, '1M');
  folder.io(IMAGE, 'write -P 3 0 1M');
  const damaged = folder.get(IMAGE);
  const table = Number(get(damaged, Number(get(damaged, 40, 8)), 8) & 0x00ff_ffff_ffff_fe00n);
  put(damaged, table + 16, 8, 0);
  const { report } = await repaired(damaged);
  expect(report.lost).toEqual([]);
  expect(folder.tryImg('compare', '-f', 'qcow2', '-F', 'raw', IMAGE, 'data.raw')).toMatchObject({ status: 0 });
});

it('no longer calls a data file raw when so many tables are lost that there is no room for them', async () => {
  // A repair takes 64 MiB at least: 1024 tables.
  const entries = 1025;
  const { bytes, l1 } = buildImage({ size: entries * 512 * 2 ** 20, incompatible: 4n, autoclear: 2n });
  for (let index = 0; index < entries; index++) put(bytes, l1 + index * 8, 8, 1n << 40n);
  const device = bufferDevice(bytes);
  const report = await repairDevice(device, { fix: 'all' });
  expect(report.after.findings).toEqual([]);
  expect(ranges(report)).toEqual([[1024 * 512 * 2 ** 20, 512 * 2 ** 20, undefined]]);
  expect(get(device.bytes(), 88, 8)).toBe(0n);
});

describe('a LUKS image', () => {
  it.each(['all', 'leaks'] as const)('without its extension is not repaired: %s', async (fix) => {
    const { bytes } = mixed([], { encryption: 2, leaked: 3 });
    const device = bufferDevice(bytes);
    await expect(repairDevice(device, { fix })).rejects.toMatchObject({ code: 'corrupt' });
    expectSame(device.bytes(), bytes);
  });
});

it('loses what led to the place of a refcount table that was cut off, and says so', async () => {
  const image = mixed([]);
  const bytes = image.bytes.slice(0, image.refcountTable);
  put(bytes, image.entryAt(5), 8, BigInt(image.refcountTable) | COPIED);
  const { report } = await repaired(bytes);
  expect(ranges(report)).toEqual([[5 * CLUSTER, CLUSTER, undefined]]);
});

it.each(['1.1', '0.10'])('counts the last cluster of a stream that reaches past the end: compat %s', async (compat) => {
  folder.img('create', '-q', '-f', 'qcow2', '-o', `cluster_size=4k,compat=${compat}`, IMAGE, '1M');
  folder.io(IMAGE, 'write -P 1 0 64k', 'write -c -P 5 128k 4k');
  const bytes = folder.get(IMAGE);
  const table = Number(get(bytes, Number(get(bytes, 40, 8)), 8) & 0x00ff_ffff_ffff_fe00n);
  const entry = table + 32 * 8;
  // As long as a cluster, in sectors.
  put(bytes, entry, 8, get(bytes, entry, 8) | (7n << 58n));
  const before = await disk(bytes, 2 ** 20);
  const { report, bytes: after } = await repaired(bytes);
  expect(report.lost).toEqual([]);
  expectSame(await disk(after, 2 ** 20), before);
});

it('says what is lost of a truncated image in one range', async () => {
  const clusters = new Map(
    Array.from({ length: 4096 }, (_, index) => [index, filled((index % 250) + 1, 512)] as const),
  );
  const image = buildImage({ clusterBits: 9, size: 4096 * 512, clusters });
  for (let index = 10; index < 4096; index++) put(image.bytes, image.entryAt(index), 8, BigInt(2 ** 40 + index * 512));
  const { report } = await repaired(image.bytes);
  expect(ranges(report)).toEqual([[10 * 512, 4086 * 512, undefined]]);
});

it.each(['zlib', 'zstd'])(
  'corrects the length of a stream that covers a table, and loses nothing: %s',
  async (type) => {
    folder.img('create', '-q', '-f', 'qcow2', '-o', `cluster_size=4k,compression_type=${type}`, IMAGE, '8M');
    folder.io(IMAGE, 'write -c -P 5 0 4k', 'write -P 1 4M 4k');
    const bytes = folder.get(IMAGE);
    const table = Number(get(bytes, Number(get(bytes, 40, 8)), 8) & 0x00ff_ffff_ffff_fe00n);
    const before = await disk(bytes, 8 * 2 ** 20);
    put(bytes, table, 8, get(bytes, table, 8) | (15n << 58n));
    const { report, bytes: after } = await repaired(bytes);
    expect(report.lost).toEqual([]);
    expectSame(await disk(after, 8 * 2 ** 20), before);
  },
);
