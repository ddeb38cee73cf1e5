/** Reads that have begun before tables move, and end after it. */
import { describe, expect, test } from 'vitest';
import { newCounters } from '../../src/engine/layer/counting-source.js';
import { WrittenTables } from '../../src/engine/write/written-tables.js';
import { type BlockDevice, bufferDevice, type Done, Qcow2Image } from '../../src/index.js';
import { switchWords } from '../../src/verbs/compact/references.js';
import { put } from '../support/big-endian.js';
import { deferred } from '../support/deferred.js';
import { expectSame } from '../support/expect-same.js';
import { buildImage, type Cell, filled } from '../support/image-builder.js';
import { LaterDevice } from '../support/slow-device.js';

const CLUSTER = 65_536;
/** Free clusters before what moves. */
const FREE = 8;

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** An image whose end has free clusters before it, and a device whose reads end as `ending` says. */
async function open(snapshots: readonly string[], ending: () => Promise<void>) {
  const clusters = new Map<number, Cell>();
  for (let index = 0; index < FREE + 4; index++) clusters.set(index, filled(1 + index));
  const { bytes, entryAt } = buildImage({
    clusters,
    size: 32 * CLUSTER,
    snapshots: snapshots.map((name) => ({ id: name, name })),
  });
  for (let index = 0; index < FREE; index++) put(bytes, entryAt(index), 8, 0n);
  const read = async (work: () => Done) => {
    await work();
    await ending();
  };
  const device: BlockDevice = new LaterDevice(bufferDevice(bytes), { read });
  return Qcow2Image.open(device, { mode: 'readwrite' });
}

describe('while tables move', () => {
  test('a snapshot that is being opened reads as before', async () => {
    let ending = Promise.resolve();
    const image = await open(['s'], () => ending);
    const before = await image.read(0, image.size);
    await (await image.openSnapshot('s')).close(); // loads the code
    let compacted = () => {};
    ending = new Promise((resolve) => {
      compacted = resolve;
    });
    const opening = image.openSnapshot('s');
    await pause(20);
    ending = Promise.resolve();
    const compacting = image.compact();
    await Promise.race([compacting, pause(200)]);
    compacted();
    const view = await opening;
    expect((await compacting).copied).toBeGreaterThan(0);
    for (let at = 0; at < image.size; at += CLUSTER) await image.write(at, new Uint8Array(CLUSTER).fill(0xee));
    expectSame(await view.read(0, view.size), before);
    await view.close();
    await image.close();
  });

  test('a table whose reader has given up is not kept as it was', async () => {
    const host = 3 * CLUSTER;
    const { promise, resolve } = deferred();
    const l1 = new DataView(new ArrayBuffer(8));
    l1.setBigUint64(0, BigInt(host));
    const geometry = { clusterSize: CLUSTER };
    const source = { size: 8 * CLUSTER, read: () => promise };
    const tables = new WrittenTables({ geometry, source, l1, budget: 0, counters: newCounters() } as never);
    const reader = new AbortController();
    const { loading } = tables.acquire([{ first: 0, last: 0 }], reader.signal);
    reader.abort();
    await expect(loading).rejects.toThrow();
    const layer = { geometry, tables, views: new Set() };
    const state = { words: [], l1, l1At: CLUSTER, bitmaps: null };
    const words = { transfers: [], changes: () => [{ offset: host + 8, high: 0, low: CLUSTER }] };
    switchWords({ layer, state } as never, words as never);
    resolve();
    await pause(1);
    expect(tables.find(host)).toBeUndefined();
  });
});
