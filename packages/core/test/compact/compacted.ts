/** Images of every kind that are compacted, and what is expected of them then. */
import { expect } from 'vitest';
import { type BlockDevice, type BufferDevice, bufferDevice, Qcow2Image } from '../../src/index.js';
import { checkSource } from '../../src/verbs/check/check.js';
import { type Kind, type Made, make } from '../model/kinds.js';
import { expectSame } from '../support/expect-same.js';
import { noiseOf, numbers } from '../support/numbers.js';
import { Paranoia } from '../support/paranoid.js';
import type { QemuFolder } from '../support/qemu.js';
import { SlowDevice } from '../support/slow-device.js';

/** Changes before each compaction. */
const CHANGES = 40;
/** Free clusters that may remain where a table of several clusters does not fit. */
const MAX_HOLES = 2;
/** As above, where streams of several clusters do not fit, each of which keeps its place in its sector. */
const MAX_HOLES_OF_STREAMS = 64;

/** An image, what its disk contains, and its file. */
interface Open {
  readonly image: Qcow2Image;
  readonly disk: Uint8Array;
  readonly file: BufferDevice;
  readonly made: Made;
}

async function open(
  folder: QemuFolder,
  kind: Kind,
  wrap: (device: BlockDevice) => BlockDevice = (device) => device,
): Promise<Open> {
  const made = make(folder, kind);
  const file = bufferDevice(made.image);
  const data = made.data === null ? undefined : bufferDevice(made.data);
  const image = await Qcow2Image.open(wrap(file), {
    mode: 'readwrite',
    resolve: async (reference) => (reference.kind === 'data' ? data : made.files.get(reference.name)),
  });
  return { image, disk: made.disk.slice(), file, made };
}

/** A random write or discard; some are long, so that tables come and go. */
async function change({ image, disk }: Open, { clusterSize, size, discards }: Kind, next: () => number): Promise<void> {
  const unit = next() % 3 > 0 ? clusterSize : 512;
  const at = (next() % Math.ceil(size / unit)) * unit;
  const units = next() % 10 === 0 ? next() % Math.ceil(size / unit / 2) : next() % 4;
  const length = Math.min(size - at, (1 + units) * unit);
  if (next() % 2 === 0) {
    const bytes = noiseOf(next(), length);
    disk.set(bytes, at);
    await image.write(at, bytes);
  } else if (discards) {
    disk.fill(0, at, at + length);
    await image.discard(at, length);
  }
}

/** Every view of a snapshot, and those that are opened now, read as the snapshots do. */
async function expectIntact({ image, disk, made }: Open, views: readonly Qcow2Image[] = []): Promise<void> {
  expect((await image.check({ deep: true })).findings).toEqual([]);
  expectSame(await image.read(0, image.size), disk);
  for (const [index, view] of views.entries()) {
    expectSame(await view.read(0, view.size), made.snapshots.get(image.snapshots[index]!.name)!);
  }
  for (const { id, name } of image.snapshots) {
    const view = await image.openSnapshot({ id });
    expectSame(await view.read(0, view.size), made.snapshots.get(name)!);
    await view.close();
  }
}

/** Nothing is free before the end of the file, and a second compaction moves nothing. */
async function expectCompact({ image, file }: Open, { clusterSize, start }: Kind): Promise<void> {
  await image.flush();
  const { report, context } = await checkSource(file);
  expect(file.size).toBe(report.imageEndOffset);
  let holes = 0;
  for (let cluster = 0; cluster < context.clusters; cluster++) if (context.references.get(cluster) === 0) holes++;
  expect(holes).toBeLessThanOrEqual(start === 'compressed' ? MAX_HOLES_OF_STREAMS : MAX_HOLES);
  expect(context.clusters).toBe(Math.ceil(file.size / clusterSize));
  const { size } = file;
  const again = await image.compact();
  // Streams that did not fit may fit once the others have moved.
  if (start === 'compressed') expect(again.newSize).toBeLessThanOrEqual(size);
  else expect(again).toEqual({ copied: 0, updated: 0, oldSize: size, newSize: size });
}

async function expectSound(folder: QemuFolder, { image, file }: Open, { dataFile }: Kind): Promise<void> {
  await image.flush();
  const bytes = file.bytes();
  await image.close();
  folder.put('compacted.qcow2', bytes);
  if (!dataFile) folder.img('check', '-q', 'compacted.qcow2');
}

/** Changes an image, compacts it, and expects it to be as short as it can be; twice. */
export async function compactAlone(folder: QemuFolder, kind: Kind, seed: number): Promise<void> {
  const opened = await open(folder, kind);
  const next = numbers(seed);
  const paranoia = new Paranoia();
  paranoia.start();
  try {
    for (let round = 0; round < 2; round++) {
      for (let step = 0; step < CHANGES; step++) {
        await change(opened, kind, next);
        paranoia.check();
      }
      await opened.image.compact();
      paranoia.check();
      await expectIntact(opened);
      await expectCompact(opened, kind);
    }
  } finally {
    paranoia.stop();
  }
  await expectSound(folder, opened, kind);
}

/** Compacts an image that is read and written meanwhile, then once more, and expects it to be as short as it can be. */
export async function compactInUse(folder: QemuFolder, kind: Kind, seed: number): Promise<void> {
  const next = numbers(seed);
  const opened = await open(folder, kind, (device) => new SlowDevice(device, next));
  const { image, disk, made } = opened;
  const views = await Promise.all(image.snapshots.map(({ id }) => image.openSnapshot({ id })));
  for (let step = 0; step < CHANGES; step++) await change(opened, kind, next);
  await expectIntact(opened, views);
  let running = true;
  const compacting = image.compact().finally(() => {
    running = false;
  });
  compacting.catch(() => {});
  while (running) {
    await new Promise(setImmediate); // a data file may be synchronous, and then no timer would run
    await change(opened, kind, next);
    const at = (next() % (image.size / 512)) * 512;
    expectSame(await image.read(at, 512), disk.slice(at, at + 512));
    for (const [index, view] of views.entries()) {
      const { name } = image.snapshots[index]!;
      const from = (next() % (view.size / 512)) * 512;
      expectSame(await view.read(from, 512), made.snapshots.get(name)!.slice(from, from + 512));
    }
  }
  await compacting;
  await expectIntact(opened, views);
  await image.compact();
  await expectIntact(opened, views);
  await expectCompact(opened, kind);
  await expectSound(folder, opened, kind);
}
