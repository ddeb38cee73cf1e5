/** Images open for repair: what else cannot be opened, what is refused, and what changes when. */
import { describe, expect, test } from 'vitest';
import { type BlockDevice, bufferDevice, bufferSource, isQcow2Error, Qcow2Image } from '../../src/index.js';
import { repairDevice } from '../../src/verbs/repair/repair.js';
import { bytesAfter, damages, mixed } from '../check/damages.js';
import { get, put } from '../support/big-endian.js';
import { FaultyDevice } from '../support/faulty-device.js';
import { type BuiltImage, buildImage } from '../support/image-builder.js';
import { noiseOf } from '../support/numbers.js';
import { QemuFolder } from '../support/qemu.js';
import { qemuChecks } from '../support/qemu-check.js';

const folder = new QemuFolder('repair-opening');
const CLUSTER = 65_536;
const data = noiseOf(1, CLUSTER);

/** An image with one data cluster, two snapshots and a bitmap. */
function rich(): BuiltImage {
  return buildImage({
    clusters: new Map([[3, { kind: 'data', bytes: data }]]),
    snapshots: [
      { id: '1', name: 'one' },
      { id: '2', name: 'two' },
    ],
    bitmaps: [{ name: 'marks', flags: 2, bits: new Uint8Array(8).fill(0xff) }],
    autoclear: 1n,
  });
}

const openFor = (device: BlockDevice, mode: 'read' | 'repair') => Qcow2Image.open(device, { mode });

/** The device after a repair; qemu-img and our check find nothing wrong with it. */
async function repaired(bytes: Uint8Array): Promise<{ device: ReturnType<typeof bufferDevice>; dropped: string[] }> {
  const device = bufferDevice(bytes);
  const image = await openFor(device, 'repair');
  const { after, dropped } = await image.repair({ fix: 'all' });
  expect(after.findings).toEqual([]);
  expect(image.info).toMatchObject({ corrupt: false, dirty: false });
  expect(await image.read(3 * CLUSTER, CLUSTER)).toEqual(data);
  await image.close();
  folder.put('repaired.qcow2', device.bytes());
  expect(qemuChecks(folder.path, 'repaired.qcow2')).toMatchObject({ corruptions: 0, leaks: 0, checkErrors: 0 });
  return { device, dropped: dropped.map(({ kind, name }) => `${kind} ${name}`) };
}

describe('an image that cannot be opened otherwise', () => {
  test.each<[string, (image: BuiltImage) => unknown, string[]]>([
    ['a refcount table inside a cluster', ({ bytes }) => put(bytes, 48, 8, get(bytes, 48, 8) + 512n), []],
    ['no refcount table', ({ bytes }) => put(bytes, 56, 4, 0), []],
    ['a refcount table at the header', ({ bytes }) => put(bytes, 48, 8, 0), []],
    ['a refcount table past the end', ({ bytes }) => put(bytes, 48, 8, 2 ** 40), []],
    ['too long a refcount table', ({ bytes }) => put(bytes, 56, 4, 2 ** 30), []],
    ['a snapshot table inside a cluster', ({ bytes }) => put(bytes, 64, 8, 0x1200), ['snapshot snapshots 0 to 1']],
    ['too many snapshots', ({ bytes }) => put(bytes, 60, 4, 70_000), ['snapshot snapshots 65536 to 69999']],
    [
      'a second snapshot that cannot be decoded',
      (image) => put(image.bytes, image.snapshotTable + 64 + 36, 4, 5000),
      ['snapshot snapshot 1'],
    ],
    [
      'a bitmap directory past the end',
      (image) => put(image.bytes, image.extensions[0]! + 24, 8, 2 ** 40),
      ['bitmap all'],
    ],
    [
      'a header extension that overhangs',
      (image) => put(image.bytes, image.extensions[0]! + 4, 4, 2 ** 30),
      ['header extension Bitmaps extension'],
    ],
  ])('with %s', async (_, harm, expected) => {
    const image = rich();
    harm(image);
    const device = bufferDevice(image.bytes);
    await expect(openFor(device, 'read').then((opened) => opened.check()))
      .rejects.toSatisfy((error) => isQcow2Error(error, 'corrupt', 'unsupported'))
      .catch(async () => {
        // A refcount table that is merely elsewhere opens for reading, and is only checked.
        expect((await (await openFor(device, 'read')).check()).corruptions).toBeGreaterThan(0);
      });
    const { dropped } = await repaired(image.bytes);
    for (const name of expected) expect(dropped).toContain(name);
  });
});

test('what led past the end of the file stays unreadable in an image that has no refcount table', async () => {
  const size = 1024 * 2 ** 20;
  for (const field of [null, [48, 8, 0], [56, 4, 0], [96, 4, 9]] as const) {
    const image = buildImage({ size, clusters: new Map([[3, { kind: 'data', bytes: data }]]) });
    const end = field === null ? image.refcountTable : image.bytes.length;
    put(image.bytes, image.entryAt(5), 8, BigInt(end) | (1n << 63n));
    put(image.bytes, image.l1 + 8, 8, BigInt(end) | (1n << 63n));
    if (field !== null) put(image.bytes, field[0], field[1], field[2]);
    const opened = await openFor(bufferDevice(image.bytes.slice(0, end)), 'repair');
    expect(await opened.read(3 * CLUSTER, CLUSTER)).toEqual(data);
    await expect(opened.read(5 * CLUSTER, 1)).rejects.toMatchObject({ code: 'corrupt' });
    await expect(opened.read(size / 2, 1)).rejects.toMatchObject({ code: 'corrupt' });
    expect((await opened.check()).corruptions).toBeGreaterThan(0);
    expect((await opened.repair({ fix: 'all' })).after.findings).toEqual([]);
    expect(await opened.read(5 * CLUSTER, CLUSTER)).toEqual(new Uint8Array(CLUSTER));
    await opened.close();
  }
});

describe('a repair', () => {
  const leaking = (): Uint8Array => {
    const { harm } = damages.find(({ faults }) => faults.join() === 'refcount-high')!;
    const image = mixed();
    return bytesAfter(harm(image), image);
  };
  const overlapping = (): Uint8Array => {
    const { harm } = damages.find(({ name }) => name === 'two entries for one cluster')!;
    const image = mixed();
    return bytesAfter(harm(image), image);
  };

  test('is refused in other modes, and of a snapshot', async () => {
    const image = await openFor(bufferDevice(mixed().bytes), 'read');
    await expect(image.repair({ fix: 'all' })).rejects.toMatchObject({ code: 'read-only' });
    const other = await openFor(bufferDevice(rich().bytes), 'repair');
    const view = await other.openSnapshot('1');
    await expect(view.repair({ fix: 'all' })).rejects.toMatchObject({ code: 'read-only' });
    await expect(other.write(0, new Uint8Array(1))).rejects.toMatchObject({ code: 'read-only' });
    await expect(other.repair({ fix: 'some' as 'all' })).rejects.toBeInstanceOf(TypeError);
    await expect(other.repair(undefined as never)).rejects.toThrow(/^fix must be/);
    await other.close();
    await expect(other.repair({ fix: 'all' })).rejects.toMatchObject({ code: 'closed' });
  });

  test('needs a device, which no other image writes to', async () => {
    await expect(Qcow2Image.open(bufferSource(mixed().bytes), { mode: 'repair' })).rejects.toBeInstanceOf(TypeError);
    const device = bufferDevice(mixed().bytes);
    const image = await openFor(device, 'repair');
    await expect(openFor(device, 'repair')).rejects.toMatchObject({ code: 'locked' });
    await image.close();
    await (await openFor(device, 'repair')).close();
  });

  test('of leaks lowers counts and nothing else, and is refused where there are other faults', async () => {
    const device = bufferDevice(leaking());
    const image = await openFor(device, 'repair');
    const report = await image.repair({ fix: 'leaks' });
    expect(report.before).toMatchObject({ leaks: 1, corruptions: 0 });
    expect(report.after.findings).toEqual([]);
    expect(report.repairs).toEqual([{ action: 'refcounts-corrected', count: 1 }]);
    const bytes = overlapping();
    const other = bufferDevice(bytes);
    const refused = await openFor(other, 'repair');
    await expect(refused.repair({ fix: 'leaks' })).rejects.toMatchObject({ code: 'needs-repair' });
    expect(other.bytes()).toEqual(bytes);
  });

  test.each(['all', 'leaks'] as const)('of %s clears unknown autoclear bits with its first change', async (fix) => {
    const UNKNOWN = (1n << 5n) | (1n << 40n);
    const image = mixed({ autoclear: UNKNOWN });
    const device = bufferDevice(image.bytes.slice());
    await repairDevice(device, { fix });
    // A clean image is not changed.
    expect(device.bytes()).toEqual(image.bytes);
    const { harm } = damages.find(({ faults }) => faults.join() === 'refcount-high')!;
    const bytes = bytesAfter(harm(image), image);
    const faulty = new FaultyDevice(bufferDevice(bytes.slice()));
    faulty.fault = { call: 'write', nth: 1, error: new Error('cut'), promised: true, done: 0 };
    await expect(repairDevice(faulty, { fix })).rejects.toThrow('cut');
    const cut = new Uint8Array(bytes.length);
    faulty.fault = null;
    await faulty.read([{ at: 0, bytes: cut }]);
    expect(get(cut, 88, 8)).toBe(0n);
    expect(cut.subarray(512)).toEqual(bytes.subarray(512));
    expect((await repairDevice(faulty, { fix: 'all' })).after.findings).toEqual([]);
  });

  test('of an image that is marked and otherwise clean clears them, too', async () => {
    const device = bufferDevice(mixed({ autoclear: 1n << 5n, incompatible: 2n }).bytes);
    expect((await repairDevice(device, { fix: 'all' })).repairs).toEqual([{ action: 'marks-cleared', count: 1 }]);
    expect(get(device.bytes(), 88, 8)).toBe(0n);
  });

  test('that is a dry run writes nothing and reports the same', async () => {
    const bytes = overlapping();
    const device = bufferDevice(bytes);
    const image = await openFor(device, 'repair');
    const dry = await image.repair({ fix: 'all', dryRun: true });
    expect(device.bytes()).toEqual(bytes);
    expect(await image.repair({ fix: 'all' })).toEqual(dry);
    expect(dry.copied).toEqual([expect.objectContaining({ length: 4096, from: expect.any(Number) })]);
    await image.close();
  });

  test('counts the marks of the image, and not its own', async () => {
    for (const [version, marks] of [
      [2, 0],
      [3, 0],
      [3, 1],
      [3, 2],
      [3, 3],
    ] as const) {
      const image = mixed({ version });
      const { harm } = damages.find(({ name }) => name === 'two entries for one cluster')!;
      const bytes = bytesAfter(harm(image), image);
      if (marks > 0) put(bytes, 72, 8, marks);
      const device = bufferDevice(bytes);
      const broken = await openFor(device, 'repair');
      const dry = await broken.repair({ fix: 'all', dryRun: true });
      const report = await broken.repair({ fix: 'all' });
      await broken.close();
      expect(report).toEqual(dry);
      const cleared = report.repairs.filter(({ action }) => action === 'marks-cleared');
      expect(cleared).toEqual(marks === 0 ? [] : [{ action: 'marks-cleared', count: 1 }]);
      if (version === 3) expect(get(device.bytes(), 72, 8)).toBe(0n);
    }
  });

  test('of two entries for one cluster separates them: a write to one does not change the other', async () => {
    const device = bufferDevice(overlapping());
    const broken = await openFor(device, 'repair');
    await broken.repair({ fix: 'all' });
    await broken.close();
    const image = await Qcow2Image.open(device, { mode: 'readwrite' });
    const before = await image.read(4096, 4096);
    expect(before).toEqual(await image.read(0, 4096));
    await image.write(0, new Uint8Array(4096).fill(9));
    expect(await image.read(4096, 4096)).toEqual(before);
    await image.close();
  });

  test('rejects with the signal’s reason, and a second one completes it', async () => {
    const device = bufferDevice(overlapping());
    const image = await openFor(device, 'repair');
    const abort = new AbortController();
    const reason = new Error('enough');
    const onProgress = () => abort.abort(reason);
    await expect(image.repair({ fix: 'all', signal: abort.signal, onProgress })).rejects.toBe(reason);
    expect((await image.repair({ fix: 'all' })).after.findings).toEqual([]);
  });

  test('ends with the error of each device call that fails, and a second one completes it', async () => {
    for (const call of ['read', 'write', 'flush'] as const) {
      for (let nth = 0; ; nth++) {
        const device = bufferDevice(overlapping());
        const faulty = new FaultyDevice(device);
        const image = await openFor(faulty, 'repair');
        faulty.fault = { call, nth, error: new Error(`${call} ${nth}`), promised: nth % 2 === 0, done: 0.5 };
        const error = await image.repair({ fix: 'all' }).catch((thrown: unknown) => thrown);
        if (!faulty.failed) break;
        expect(error).toBe(faulty.fault.error);
        faulty.fault = null;
        // Also what lies in a copy past the former end of the file.
        expect(await image.read(4096, 4096)).toEqual(await image.read(0, 4096));
        await image.close();
        const second = await openFor(device, 'repair');
        expect((await second.repair({ fix: 'all' })).after.findings).toEqual([]);
        await second.close();
      }
    }
  });
});

describe('an image that is marked dirty', () => {
  const dirty = (): Uint8Array => {
    const image = buildImage({
      incompatible: 1n,
      compatible: 1n,
      clusters: new Map([[3, { kind: 'data', bytes: data }]]),
    });
    put(
      image.bytes,
      image.refcountBlocks[0]! + 2 * (Number(get(image.bytes, image.entryAt(3), 8) & 0xffff_ffffn) / CLUSTER),
      2,
      0,
    );
    return image.bytes;
  };

  test('is repaired before it is opened for writing, if that is asked for', async () => {
    await expect(Qcow2Image.open(bufferDevice(dirty()), { mode: 'readwrite' })).rejects.toMatchObject({
      code: 'needs-repair',
    });
    const device = bufferDevice(dirty());
    const image = await Qcow2Image.open(device, { mode: 'readwrite', repairDirty: true });
    expect(image.info.dirty).toBe(false);
    expect(await image.read(3 * CLUSTER, CLUSTER)).toEqual(data);
    await image.close();
  });

  test('is not repaired when it is marked corrupt, too', async () => {
    const bytes = dirty();
    bytes[79]! |= 2;
    const device = bufferDevice(bytes);
    const opening = Qcow2Image.open(device, { mode: 'readwrite', repairDirty: true });
    await expect(opening).rejects.toMatchObject({ code: 'needs-repair' });
    expect(device.bytes()).toEqual(bytes);
  });
});
