/** Compares what can be read before and after a repair, cluster by cluster. */
import { expect } from 'vitest';
import { bufferSource, type Disk, isQcow2Error, Qcow2Image, type RepairReport } from '../../src/index.js';

/** The files that an image references. */
export interface Files {
  readonly backing?: Uint8Array;
  readonly data?: Uint8Array;
}

/** The bytes of each guest cluster; null for one that a read refuses. */
export type Clusters = readonly (Uint8Array | null)[];

/** The longest disk that is compared, bytes. */
const MAX_SIZE = 2 ** 26;

/** Guest bytes; null when a read refuses them. */
async function read(disk: Disk, at: number, length: number): Promise<Uint8Array | null> {
  try {
    return await disk.read(at, length);
  } catch (error) {
    if (!isQcow2Error(error, 'corrupt')) throw error;
    return null;
  }
}

async function clustersIn(disk: Disk, clusterSize: number): Promise<Clusters> {
  const clusters: (Uint8Array | null)[] = [];
  // Damage to its size can make a snapshot's disk larger than memory.
  if (disk.size > MAX_SIZE) return clusters;
  const whole = await read(disk, 0, disk.size);
  for (let at = 0; at < disk.size; at += clusterSize) {
    const length = Math.min(clusterSize, disk.size - at);
    clusters.push(whole === null ? await read(disk, at, length) : whole.subarray(at, at + length));
  }
  return clusters;
}

/** An error of what is damaged is null. */
async function unlessDamaged<T>(work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (isQcow2Error(error, 'corrupt', 'unsupported')) return null;
    throw error;
  }
}

const openImage = (bytes: Uint8Array, files: Files) =>
  Qcow2Image.open(bufferSource(bytes), {
    resolve: async ({ kind }) => (kind === 'data' ? files.data && bufferSource(files.data) : files.backing),
  });

/** The clusters of the active disk; null for an image that cannot be opened. */
export async function clustersOf(bytes: Uint8Array, files: Files = {}): Promise<Clusters | null> {
  return unlessDamaged(async () => {
    const image = await openImage(bytes, files);
    return clustersIn(image, image.info.clusterSize);
  });
}

/** The clusters of every snapshot that can be opened, by id. */
export async function snapshotsOf(bytes: Uint8Array, files: Files): Promise<Map<string, Clusters>> {
  const found = new Map<string, Clusters>();
  const image = await unlessDamaged(() => openImage(bytes, files));
  for (const { id } of image?.snapshots ?? []) {
    const clusters = await unlessDamaged(async () => {
      return clustersIn(await image!.openSnapshot({ id }), image!.info.clusterSize);
    });
    if (clusters !== null && !found.has(id)) found.set(id, clusters);
  }
  return found;
}

/** What a report says of lost guest bytes of a cluster of a disk, if anything. */
export function lossAt(
  { lost }: RepairReport,
  index: number,
  size: number,
  snapshot?: string,
): RepairReport['lost'][number] | undefined {
  return lost.find((range) => {
    const { start, length } = range;
    return range.snapshot === snapshot && start < (index + 1) * size && start + length > index * size;
  });
}

/** True if a report says that guest bytes of a cluster of a disk are lost. */
export function isLost(report: RepairReport, index: number, size: number, snapshot?: string): boolean {
  return lossAt(report, index, size, snapshot) !== undefined;
}

/** Expects that what could be read reads the same, and that what is said to be lost reads as something. */
export async function expectWhatWasLeft(
  before: Uint8Array,
  after: Uint8Array,
  report: RepairReport,
  files: Files = {},
  where = '',
): Promise<void> {
  const now = await clustersOf(after, files);
  expect(now, `${where}: the repaired image opens`).not.toBeNull();
  const old = await clustersOf(before, files);
  if (old !== null) expectSameDisk(old, now!, report, undefined, where);
  const kept = await snapshotsOf(after, files);
  for (const [id, clusters] of await snapshotsOf(before, files)) {
    const left = kept.get(id);
    if (left === undefined)
      expect(
        report.dropped.map(({ kind }) => kind),
        `${where}: ${id}`,
      ).toContain('snapshot');
    else expectSameDisk(clusters, left, report, id, `${where}, snapshot ${id}`);
  }
}

function expectSameDisk(
  old: Clusters,
  now: Clusters,
  report: RepairReport,
  snapshot: string | undefined,
  where: string,
): void {
  expect(now.length, where).toBe(old.length);
  const size = now[0]?.length ?? 1;
  old.forEach((bytes, index) => {
    const lost = isLost(report, index, size, snapshot);
    // A stream that does not inflate is left as it is: no check notices it.
    if (now[index] === null) expect([bytes, lost], `${where}: cluster ${index}`).toEqual([null, false]);
    if (lost || bytes === null) return;
    if (Buffer.compare(now[index]!, bytes) !== 0) expect.fail(`${where}: cluster ${index} reads differently`);
  });
}
