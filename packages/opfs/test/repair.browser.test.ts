/** Repair across the worker: of a stored image, in place. */
import type { Progress } from 'qcow2';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { get, put } from '../../core/test/support/big-endian.js';
import { buildImage } from '../../core/test/support/image-builder.js';
import { openStore } from '../src/index.js';
import { noise } from './support/images.js';
import { clearStorage } from './support/opfs.js';
import { errorOf } from './support/outcomes.js';

beforeEach(clearStorage);
afterAll(clearStorage);

const CLUSTER = 65_536;

/** Two guest clusters of one host cluster, whose refcount is 1; the image is marked dirty. */
function overlapping(): File {
  const bytes = noise(CLUSTER, 1);
  const image = buildImage({
    incompatible: 1n,
    clusters: new Map([0, 1].map((index) => [index, { kind: 'data', bytes }])),
  });
  put(image.bytes, image.entryAt(1), 8, get(image.bytes, image.entryAt(0), 8));
  return new File([image.bytes], 'overlapping.qcow2');
}

test('a stored image is repaired in place, and can be written then', async () => {
  const store = await openStore();
  await store.import('disk', overlapping());
  expect(await errorOf(store.open('disk', { mode: 'readwrite' }))).toMatchObject({ code: 'needs-repair' });
  const image = await store.open('disk', { mode: 'repair' });
  expect(image.info.dirty).toBe(true);
  expect(await errorOf(store.open('disk'))).toMatchObject({ code: 'locked' });
  expect(await errorOf(image.repair({ fix: 'leaks' }))).toMatchObject({ code: 'needs-repair' });
  const dry = await image.repair({ fix: 'all', dryRun: true });
  const reports: Progress[] = [];
  const report = await image.repair({ fix: 'all', onProgress: (progress) => reports.push(progress) });
  expect(report).toEqual(dry);
  expect(report.after).toMatchObject({ corruptions: 0, leaks: 0, checkErrors: 0, findings: [] });
  expect(report.copied).toHaveLength(1);
  expect(new Set(reports.map(({ phase }) => phase))).toEqual(new Set(['check', 'verify']));
  expect(image.info.dirty).toBe(false);
  await image.close();

  await using written = await store.open('disk', { mode: 'readwrite' });
  await written.write(0, new Uint8Array(CLUSTER).fill(9));
  expect(await written.read(CLUSTER, CLUSTER)).toEqual(noise(CLUSTER, 1));
  await written.close();
  await store.close();
});

test('a stored image that is marked dirty is repaired when it is opened for writing', async () => {
  const store = await openStore();
  await store.import('disk', overlapping());
  const image = await store.open('disk', { mode: 'readwrite', repairDirty: true });
  expect(image.info.dirty).toBe(false);
  await image.close();
  await store.close();
});

test('a repair is aborted with its reason, and a chosen file cannot be repaired', async () => {
  const store = await openStore();
  await store.import('disk', overlapping());
  const image = await store.open('disk', { mode: 'repair' });
  const reason = new Error('enough');
  expect(await errorOf(image.repair({ fix: 'all', signal: AbortSignal.abort(reason) }))).toBe(reason);
  await image.close();
  expect(await errorOf(store.openFile(overlapping(), { mode: 'repair' }))).toBeInstanceOf(TypeError);
  await store.close();
});
