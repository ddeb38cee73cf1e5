/** A map that never has to wait for its source, as when one table is named again and again, lets others have their turn. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Qcow2Image } from '../../src/index.js';

const CLUSTER = 65_536;
const L2_ENTRIES = CLUSTER / 8;
const L1_ENTRIES = 8192;
const COMPRESSED = 1n << 62n;

/** 4 TiB of compressed clusters in a third of a megabyte: every L1 entry names the same L2 table. */
function repeatingImage(): Uint8Array<ArrayBuffer> {
  const l2 = CLUSTER + L1_ENTRIES * 8;
  const bytes = new Uint8Array(l2 + 3 * CLUSTER);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x514649fb);
  view.setUint32(4, 3);
  view.setUint32(20, 16);
  view.setBigUint64(24, BigInt(L1_ENTRIES * L2_ENTRIES * CLUSTER));
  view.setUint32(36, L1_ENTRIES);
  view.setBigUint64(40, BigInt(CLUSTER));
  view.setBigUint64(48, BigInt(l2 + CLUSTER));
  view.setUint32(56, 1);
  view.setUint32(96, 4);
  view.setUint32(100, 104);
  for (let i = 0; i < L1_ENTRIES; i++) view.setBigUint64(CLUSTER + i * 8, BigInt(l2));
  for (let i = 0; i < L2_ENTRIES; i++) view.setBigUint64(l2 + i * 8, COMPRESSED | BigInt(l2 + 2 * CLUSTER));
  return bytes;
}

test.each([
  ['a buffer', (bytes: Uint8Array<ArrayBuffer>) => bytes],
  ['a Blob', (bytes: Uint8Array<ArrayBuffer>) => new Blob([bytes])],
])('over %s a timer can abort it', async (_, source) => {
  const image = await Qcow2Image.open(source(repeatingImage()));
  // The map's own code is loaded with the first one, and that is a wait.
  await image.map({ start: 0, length: 1 }).next();
  const abort = new AbortController();
  const reason = new Error('enough');
  const timer = sleep(50).then(() => abort.abort(reason));
  const map = image.map(undefined, { signal: abort.signal });
  await expect(map.next()).rejects.toBe(reason);
  await timer;
});

test('closing the image ends a search', async () => {
  const image = await Qcow2Image.open(repeatingImage());
  await image.seekHole(image.size);
  const search = image.seekHole(0).catch((error: unknown) => error);
  await sleep(50);
  await image.close();
  expect(await search).toMatchObject({ name: 'Qcow2Error', code: 'closed' });
});
