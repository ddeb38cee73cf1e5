/** Compressed clusters whose stream is not one: each read is refused as damage, and its neighbours still read. */
import { deflateRawSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { Qcow2Image } from '../../src/index.js';
import { buildImage, type Cell } from '../support/image-builder.js';
import { pattern } from './bases.js';
import { GuardedSource, withAllocationsWatched } from './guard.js';

const CLUSTER = 65_536;
const sound = pattern(CLUSTER, 1);

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** An image with the stream in guest cluster 1, between sound compressed clusters. */
function imageWith(payload: Uint8Array): GuardedSource {
  const neighbour: Cell = { kind: 'compressed', payload: deflateRawSync(sound) };
  const clusters = new Map<number, Cell>([
    [0, neighbour],
    [1, { kind: 'compressed', payload }],
    [2, neighbour],
  ]);
  return new GuardedSource(buildImage({ clusters, size: 3 * CLUSTER }).bytes);
}

async function read(source: GuardedSource, cluster: number): Promise<Uint8Array> {
  const into = new Uint8Array(CLUSTER);
  await withAllocationsWatched(async () => {
    const image = await Qcow2Image.open(source);
    await image.read(cluster * CLUSTER, into);
  });
  expect(source.violations).toEqual([]);
  return into;
}

const whole = deflateRawSync(sound);

test.each<[string, Uint8Array]>([
  ['ends early', whole.subarray(0, whole.length / 2)],
  ['is empty but for one byte', new Uint8Array(1)],
  ['is noise', pattern(4096, 0xff).reverse()],
  ['has a byte less than a cluster', deflateRawSync(sound.subarray(1))],
  ['has a byte more than a cluster', deflateRawSync(joined(sound, new Uint8Array(1)))],
  ['has a thousand clusters of content', deflateRawSync(new Uint8Array(1000 * CLUSTER))],
  ['has no content', deflateRawSync(new Uint8Array(0))],
  ['has a zlib header', joined(new Uint8Array([0x78, 0x9c]), whole)],
])('a stream that %s is corrupt, and adjacent clusters can be read', async (_, payload) => {
  const source = imageWith(payload);
  await expect(read(source, 1)).rejects.toMatchObject({ name: 'Qcow2Error', code: 'corrupt' });
  expect(Buffer.compare(await read(source, 0), sound)).toBe(0);
  expect(Buffer.compare(await read(source, 2), sound)).toBe(0);
});

test('bytes after the stream in its last sector are ignored', async () => {
  const garbage = pattern(512 - (whole.length % 512), 0xaa);
  expect(Buffer.compare(await read(imageWith(joined(whole, garbage)), 1), sound)).toBe(0);
});

test('a stream that begins where another ends, within a sector, can be read', async () => {
  const source = imageWith(whole);
  for (const cluster of [0, 1, 2]) expect(Buffer.compare(await read(source, cluster), sound)).toBe(0);
});
