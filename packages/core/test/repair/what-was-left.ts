/** Compares what can be read before and after a repair, cluster by cluster. */
import { expect } from 'vitest';
import { bufferSource, type Disk, isQcow2Error, Qcow2Image, type RepairReport } from '../../src/index.js';

/** Guest bytes; null when a read refuses them. */
async function read(disk: Disk, at: number, length: number): Promise<Uint8Array | null> {
  try {
    return await disk.read(at, length);
  } catch (error) {
    if (!isQcow2Error(error, 'corrupt')) throw error;
    return null;
  }
}

/** The bytes of each guest cluster; null for one that a read refuses. Null for an image that cannot be opened. */
export async function clustersOf(
  bytes: Uint8Array,
  snapshot: string | undefined,
): Promise<(Uint8Array | null)[] | null> {
  let image: Qcow2Image;
  try {
    image = await Qcow2Image.open(bufferSource(bytes));
  } catch (error) {
    if (isQcow2Error(error, 'corrupt', 'unsupported')) return null;
    throw error;
  }
  const { clusterSize } = image.info;
  const disk = snapshot === undefined ? image : await image.openSnapshot(snapshot);
  const clusters: (Uint8Array | null)[] = [];
  const whole = await read(disk, 0, disk.size);
  for (let at = 0; at < disk.size; at += clusterSize) {
    const length = Math.min(clusterSize, disk.size - at);
    clusters.push(whole === null ? await read(disk, at, length) : whole.subarray(at, at + length));
  }
  await image.close();
  return clusters;
}

/** True if a report says that guest bytes of a cluster of the active disk are lost. */
export function isLost({ lost }: RepairReport, index: number, size: number): boolean {
  return lost.some(({ start, length, snapshot }) => {
    return snapshot === undefined && start < (index + 1) * size && start + length > index * size;
  });
}

/** Expects that what could be read reads the same, and that exactly the rest is called lost, or was saved. */
export async function expectWhatWasLeft(before: Uint8Array, after: Uint8Array, report: RepairReport): Promise<void> {
  const old = await clustersOf(before, undefined);
  const now = await clustersOf(after, undefined);
  expect(now, 'the repaired image opens').not.toBeNull();
  if (old === null) return;
  expect(now!.length).toBe(old.length);
  const size = now![0]?.length ?? 1;
  old.forEach((bytes, index) => {
    // A stream that does not inflate is left as it is: no check notices it.
    if (now![index] === null) expect([bytes, isLost(report, index, size)]).toEqual([null, false]);
    if (isLost(report, index, size)) return;
    if (bytes !== null)
      expect(
        now![index]!.every((byte, at) => byte === bytes[at]),
        `cluster ${index}`,
      ).toBe(true);
  });
}
