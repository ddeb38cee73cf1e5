/** The number of device calls is the performance model: here it is counted. */
import { describe, expect, it } from 'vitest';
import { Qcow2Image } from '../../src/index.js';
import { buildImage, type Cell, filled } from '../support/image-builder.js';
import { RecordingSource } from '../support/recording-source.js';

const CLUSTER = 65_536;
const MIB = 1024 * 1024;

/** 16 neighbouring clusters, written in order. */
function sequentialImage(): Uint8Array {
  const clusters = new Map(Array.from({ length: 16 }, (_, index) => [index, filled(index + 1)]));
  return buildImage({ size: MIB, clusters }).bytes;
}

describe('device calls', () => {
  it('read 1 MiB of 16 adjacent clusters in one call of one transfer, once the table is loaded', async () => {
    const source = new RecordingSource(sequentialImage());
    const image = await Qcow2Image.open(source);
    await image.read(0, new Uint8Array(1));
    source.calls.length = 0;
    const into = new Uint8Array(MIB);
    await image.read(0, into);
    expect(source.calls).toHaveLength(1);
    expect(source.calls[0]).toHaveLength(1);
    expect(source.calls[0]![0]!.length).toBe(MIB);
    for (let index = 0; index < 16; index++) expect(into[index * CLUSTER + 77]).toBe(index + 1);
  });

  it('load a table once, also for concurrent callers', async () => {
    const source = new RecordingSource(sequentialImage(), { asynchronous: true });
    const image = await Qcow2Image.open(source);
    source.calls.length = 0;
    await Promise.all(Array.from({ length: 8 }, (_, index) => image.read(index * CLUSTER, new Uint8Array(100))));
    expect(source.calls).toHaveLength(1 + 8);
    expect((await image.stats()).l2Loads).toBe(1);
  });

  it('read nothing for zeros and holes, once the table is loaded', async () => {
    const clusters = new Map<number, Cell>([[0, { kind: 'zero', allocated: false }]]);
    const source = new RecordingSource(buildImage({ size: MIB, clusters }).bytes);
    const image = await Qcow2Image.open(source);
    await image.read(0, new Uint8Array(1));
    source.calls.length = 0;
    const into = new Uint8Array(MIB).fill(9);
    await image.read(0, into);
    expect(source.calls).toHaveLength(0);
    expect(into.every((byte) => byte === 0)).toBe(true);
  });

  it('open a 100 GiB image with snapshots in at most six ranges', async () => {
    const size = 100 * 1024 * MIB;
    const snapshots = [{ id: '1', name: 'before' }];
    const source = new RecordingSource(buildImage({ size, snapshots, clusters: new Map([[5, filled(1)]]) }).bytes);
    const image = await Qcow2Image.open(source);
    expect(image.size).toBe(size);
    expect(source.calls.flat().length).toBeLessThanOrEqual(6);
    expect(source.calls.length).toBeLessThanOrEqual(3);
  });

  it('fetch fragmented clusters in one call, a transfer each', async () => {
    // Allocated backwards, so that no two neighbours lie together.
    const clusters = new Map(Array.from({ length: 16 }, (_, index) => [15 - index, filled(16 - index)]));
    const source = new RecordingSource(buildImage({ size: MIB, clusters }).bytes);
    const image = await Qcow2Image.open(source);
    await image.read(0, new Uint8Array(1));
    source.calls.length = 0;
    const into = new Uint8Array(MIB);
    await image.read(0, into);
    expect(source.calls).toHaveLength(1);
    expect(source.calls[0]).toHaveLength(16);
    for (let index = 0; index < 16; index++) expect(into[index * CLUSTER]).toBe(index + 1);
  });
});
