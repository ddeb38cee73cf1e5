/** Owns the images that the tests of the worker open, and the bytes their guests must see; built without the engine. */
import { buildImage, type Cell, type ImagePlan } from '../../../core/test/support/image-builder.js';
import { noiseOf, softNoiseOf } from '../../../core/test/support/numbers.js';

export const CLUSTER = 65536;
const COPIED = 1n << 63n;

/** Bytes that repeat nowhere near, and differ with the seed. */
export function noise(length: number, seed: number): Uint8Array<ArrayBuffer> {
  return noiseOf(seed, length);
}

/** An image and the guest's whole disk. */
export interface TestImage {
  readonly file: File;
  readonly guest: Uint8Array<ArrayBuffer>;
}

function asFile(plan: ImagePlan, name: string): File {
  return new File([buildImage(plan).bytes], name);
}

async function deflated(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream('deflate-raw'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Two data clusters, a hole, zeros, a compressed cluster, a hole, data: 16 clusters of 64 KiB less 512 bytes. */
export async function mixedImage(): Promise<TestImage> {
  const guest = new Uint8Array(16 * CLUSTER - 512);
  const clusters = new Map<number, Cell>([[4, { kind: 'zero', allocated: true }]]);
  for (const index of [0, 1, 9]) {
    const bytes = noise(CLUSTER, index + 1);
    guest.set(bytes, index * CLUSTER);
    clusters.set(index, { kind: 'data', bytes });
  }
  const soft = softNoiseOf(7, CLUSTER);
  guest.set(soft, 6 * CLUSTER);
  clusters.set(6, { kind: 'compressed', payload: await deflated(soft) });
  return { file: asFile({ size: guest.length, clusters }, 'mixed.qcow2'), guest };
}

/** `count` data clusters of 512 bytes, each followed by a hole: twice as many extents. */
export function scatteredImage(count: number): TestImage {
  const guest = new Uint8Array(count * 1024);
  const clusters = new Map<number, Cell>();
  for (let index = 0; index < count; index++) {
    const bytes = noise(512, index);
    guest.set(bytes, index * 1024);
    clusters.set(index * 2, { kind: 'data', bytes });
  }
  return { file: asFile({ clusterBits: 9, size: guest.length, clusters }, 'scattered.qcow2'), guest };
}

/**
 * A disk of `count` clusters of 64 KiB that all read as the same bytes, in a small file: runs of `run` guest clusters
 * take turns at the same `run` host clusters. Each run is one transfer, and Chromium takes milliseconds for each.
 */
export function repeatedImage(count: number, run = 1): { file: File; size: number; cluster: Uint8Array<ArrayBuffer> } {
  const cluster = noise(CLUSTER, 42);
  const size = count * CLUSTER;
  const first = Array.from({ length: run }, (_, i): [number, Cell] => [i, { kind: 'data', bytes: cluster }]);
  const built = buildImage({ size, clusters: new Map(first) });
  const view = new DataView(built.bytes.buffer);
  const entries = first.map(([i]) => view.getBigUint64(built.entryAt(i)) & ~COPIED);
  const rest = Array.from({ length: count - run }, (_, i): [number, Cell] => [
    run + i,
    { kind: 'entry', entry: entries[i % run]! },
  ]);
  return { file: asFile({ size, clusters: new Map([...first, ...rest]) }, 'repeated.qcow2'), size, cluster };
}

/** A disk of that size with nothing in it. */
export function emptyImage(size: number): File {
  return asFile({ size }, 'empty.qcow2');
}

/** An overlay with one cluster of its own, the second, over a backing file of that name. */
export function overlayImage(backingName: string, size: number): { file: File; own: Uint8Array<ArrayBuffer> } {
  const own = noise(CLUSTER, 99);
  const clusters = new Map<number, Cell>([[1, { kind: 'data', bytes: own }]]);
  return { file: asFile({ size, backingName, clusters }, 'overlay.qcow2'), own };
}

/** An image whose L1 table points far behind the end of the file. */
export function corruptImage(): File {
  const built = buildImage({ clusters: new Map([[0, { kind: 'data', bytes: noise(CLUSTER, 1) }]]) });
  new DataView(built.bytes.buffer).setBigUint64(built.l1, COPIED | (1n << 40n));
  return new File([built.bytes], 'corrupt.qcow2');
}

/**
 * An image whose file is long: what it consists of does not matter, and so it is followed by bytes that nobody refers
 * to.
 */
export async function longFile(megabytes: number): Promise<File> {
  const { file } = await mixedImage();
  // A Blob of Blobs refers to them; of buffers it would be as many copies.
  const mega = new Blob([noise(2 ** 20, 3)]);
  return new File([file, ...Array.from({ length: megabytes }, () => mega)], 'long.qcow2');
}
