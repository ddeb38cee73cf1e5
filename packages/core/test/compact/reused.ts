/** A small image in which clusters are given up and used again between two slices of a compaction. */
import { expect } from 'vitest';
import { Writer } from '../../src/engine/write/writer.js';
import { bufferDevice, Qcow2Image } from '../../src/index.js';
import { type Fault, replaced } from '../crash/seams.js';
import { expectSame } from '../support/expect-same.js';
import { noiseOf } from '../support/numbers.js';

const CLUSTER = 512;
const CLUSTERS = 24;

/** Does something before a slice of a verb, and before no other. */
function beforeSlice(number: number, work: () => Promise<void>): Fault {
  return replaced(Writer.prototype, 'restructure', (own) => {
    return function <T>(this: Writer, verb: Parameters<typeof own<T>>[0], signal: AbortSignal | undefined): Promise<T> {
      let next = 0;
      return own.call(
        this,
        (structure) =>
          verb({
            ...structure,
            slice: async (steps) => {
              if (next++ === number) await work();
              return structure.slice(steps);
            },
          }),
        signal,
      ) as Promise<T>;
    };
  });
}

/**
 * The last clusters of the file, which are to move, become free before the slice `number` of the compaction, and are
 * used at once for other clusters of the disk. Returns whether there is such a slice.
 */
export async function clustersUsedAgain(number: number): Promise<boolean> {
  const image = await Qcow2Image.create(bufferDevice(), { size: CLUSTERS * CLUSTER, clusterSize: CLUSTER });
  const disk = new Uint8Array(CLUSTERS * CLUSTER);
  const write = (cluster: number) => {
    const bytes = noiseOf(cluster + 1, CLUSTER);
    disk.set(bytes, cluster * CLUSTER);
    return image.write(cluster * CLUSTER, bytes);
  };
  const discard = (cluster: number) => {
    disk.fill(0, cluster * CLUSTER, (cluster + 1) * CLUSTER);
    return image.discard(cluster * CLUSTER, CLUSTER);
  };
  for (let cluster = 0; cluster < 16; cluster++) await write(cluster);
  for (const cluster of [3, 4, 5]) await discard(cluster);
  await image.flush();
  let reached = false;
  const restore = beforeSlice(number, async () => {
    reached = true;
    await discard(15);
    await image.flush();
    for (const cluster of [16, 17, 18, 19]) await write(cluster);
    await discard(16);
    await image.flush();
  })();
  await image.compact().finally(restore);
  expectSame(await image.read(0, disk.length), disk);
  expect((await image.check()).findings).toEqual([]);
  await image.close();
  return reached;
}
