/** Images in whose caches something remains of what was at a host offset before it was handed out again. */
import { deflateRawSync } from 'node:zlib';
import { expect } from 'vitest';
import { bufferDevice, Qcow2Image } from '../../src/index.js';
import { type Deferred, deferred } from '../support/deferred.js';
import { expectSame } from '../support/expect-same.js';
import { buildImage, type Cell, filled } from '../support/image-builder.js';
import { noiseOf } from '../support/numbers.js';
import type { QemuFolder } from '../support/qemu.js';
import { LaterDevice } from '../support/slow-device.js';

const CLUSTER = 4096;

/** Bytes whose stream takes nearly a cluster. */
function hardlyCompressible(seed: number): Uint8Array<ArrayBuffer> {
  return noiseOf(seed, CLUSTER).fill(0, 3500);
}

function compressed(seed: number): Cell {
  return { kind: 'compressed', payload: deflateRawSync(hardlyCompressible(seed), { windowBits: 12 }) };
}

/** A stream moves to where another one was that was read in part, and given up since. */
export async function streamInPlaceOfAnother(): Promise<void> {
  const between = [4, 5, 6, 7, 8, 9];
  const cells: [number, Cell][] = [
    [0, compressed(1)],
    ...between.map((n) => [n, filled(n, CLUSTER)] as [number, Cell]),
  ];
  const { bytes } = buildImage({
    clusterBits: 12,
    size: 16 * CLUSTER,
    clusters: new Map([...cells, [1, compressed(2)]]),
  });
  const image = await Qcow2Image.open(bufferDevice(bytes), { mode: 'readwrite' });
  expectSame(await image.read(0, 512), hardlyCompressible(1).subarray(0, 512));
  await image.discard(0, CLUSTER);
  await image.discard(between[0]! * CLUSTER, between.length * CLUSTER);
  await image.compact();
  expectSame(await image.read(CLUSTER, 512), hardlyCompressible(2).subarray(0, 512));
  await image.close();
}

/** An L2 table that is in memory moves; later another one moves to where it was. */
export async function tableInPlaceOfAnother(): Promise<void> {
  const small = 512;
  const reach = (small / 8) * small;
  const image = await Qcow2Image.create(bufferDevice(), { size: 4 * reach, clusterSize: small });
  const write = (table: number, cluster: number) =>
    image.write(table * reach + cluster * small, noiseOf(table * 10 + cluster + 1, small));
  const discard = (table: number, cluster: number) => image.discard(table * reach + cluster * small, small);
  for (const cluster of [0, 1]) await write(0, cluster);
  for (const cluster of [0, 1]) await write(1, cluster);
  for (const cluster of [0, 1]) await discard(0, cluster);
  await image.compact();
  // The first cluster after the end of the file is where the table was.
  await write(1, 2);
  await write(2, 0);
  for (const cluster of [1, 2]) await discard(1, cluster);
  expect((await image.compact()).copied).toBe(2);
  expectSame(await image.read(2 * reach, small), noiseOf(21, small));
  await image.close();
}

/** A snapshot is opened while the tables to which its L1 table refers move. */
export async function snapshotOpenedMeanwhile(folder: QemuFolder): Promise<void> {
  folder.img('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=4k', 'image.qcow2', '8M');
  folder.io('image.qcow2', 'write -P 9 0 64k', 'write -P 7 6M 4k', 'discard 0 64k');
  folder.img('snapshot', '-c', 'one', 'image.qcow2');
  const held: { l1: Deferred<void> | null } = { l1: null };
  const file = new LaterDevice(bufferDevice(folder.get('image.qcow2')), {
    read: (work) => {
      const { l1 } = held;
      held.l1 = null;
      return l1 === null ? work() : Promise.resolve(work()).then(() => l1.promise);
    },
  });
  const image = await Qcow2Image.open(file, { mode: 'readwrite' });
  const l1 = deferred();
  held.l1 = l1;
  const opening = image.openSnapshot('one');
  while (held.l1 !== null) await new Promise(setImmediate);
  const compacting = image.compact();
  await new Promise((resolve) => setTimeout(resolve, 100));
  l1.resolve();
  const view = await opening;
  await compacting;
  await image.write(0, noiseOf(1, 32 * CLUSTER));
  expectSame(await view.read(6 * 1024 * 1024, CLUSTER), new Uint8Array(CLUSTER).fill(7));
  await image.close();
}
