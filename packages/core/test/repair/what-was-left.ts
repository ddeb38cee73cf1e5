/** Compares what can be read before and after a repair, cluster by cluster. */
import { expect } from 'vitest';
import { bufferSource, isQcow2Error, Qcow2Image, type RepairReport } from '../../src/index.js';

/** The bytes of each guest cluster; null for one that a read refuses. */
async function clustersOf(bytes: Uint8Array, snapshot: string | undefined): Promise<(Uint8Array | null)[] | null> {
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
  for (let at = 0; at < disk.size; at += clusterSize) {
    try {
      clusters.push(await disk.read(at, Math.min(clusterSize, disk.size - at)));
    } catch (error) {
      if (!isQcow2Error(error, 'corrupt')) throw error;
      clusters.push(null);
    }
  }
  await image.close();
  return clusters;
}

/** Expects that what could be read reads the same, and that exactly the rest is called lost, or was saved. */
export async function expectWhatWasLeft(before: Uint8Array, after: Uint8Array, report: RepairReport): Promise<void> {
  const old = await clustersOf(before, undefined);
  const now = await clustersOf(after, undefined);
  expect(now, 'the repaired image opens').not.toBeNull();
  if (old === null) return;
  expect(now!.length).toBe(old.length);
  const size = now![0]?.length ?? 1;
  const lost = report.lost.filter(({ snapshot }) => snapshot === undefined);
  const isLost = (index: number) => {
    return lost.some(({ start, length }) => start < (index + 1) * size && start + length > index * size);
  };
  old.forEach((bytes, index) => {
    // A stream that does not inflate is left as it is: no check notices it.
    if (now![index] === null) expect([bytes, isLost(index)]).toEqual([null, false]);
    if (isLost(index)) return;
    if (bytes !== null)
      expect(
        now![index]!.every((byte, at) => byte === bytes[at]),
        `cluster ${index}`,
      ).toBe(true);
  });
}
