/** The lost ranges of a repair lie on the disk that they belong to: the active one, or a smaller one of a snapshot. */
import { expect, test } from 'vitest';
import { bufferDevice, type RepairReport } from '../../src/index.js';
import { repairDevice } from '../../src/verbs/repair/repair.js';
import { put } from '../support/big-endian.js';
import { type BuiltImage, buildImage, filled } from '../support/image-builder.js';

const CLUSTER = 65_536;
const MIB = 1024 * 1024;
/** The snapshot's disk ends inside its second cluster. */
const SMALL = 100 * 1024;
const FAR = 1n << 40n;

/** Four clusters of the disk, and a snapshot of it whose disk is said to be smaller. */
function withSmallSnapshot(): BuiltImage {
  const extra = new Uint8Array(16);
  put(extra, 8, 8, SMALL);
  const clusters = new Map([0, 1, 2, 3].map((cluster) => [cluster, filled(cluster + 1)]));
  return buildImage({ size: MIB, clusters, snapshots: [{ id: '7', name: 'small', extra }] });
}

async function lostAfter({ bytes }: BuiltImage): Promise<RepairReport> {
  const report = await repairDevice(bufferDevice(bytes), { fix: 'all' });
  expect(report.after.findings).toEqual([]);
  return report;
}

const placesOf = ({ lost }: RepairReport) => lost.map(({ snapshot, start, length }) => ({ snapshot, start, length }));

test('entries that lead nowhere, on both disks', async () => {
  const image = withSmallSnapshot();
  for (const cluster of [1, 3]) put(image.bytes, image.entryAt(cluster), 8, FAR);
  const report = await lostAfter(image);
  expect(placesOf(report)).toEqual([
    { snapshot: undefined, start: CLUSTER, length: CLUSTER },
    { snapshot: undefined, start: 3 * CLUSTER, length: CLUSTER },
    { snapshot: '7', start: CLUSTER, length: SMALL - CLUSTER },
  ]);
  expect(report.lostBytes).toBe(CLUSTER + SMALL);
});

test("a snapshot's table", async () => {
  const image = withSmallSnapshot();
  const snapshotL1 = Number(new DataView(image.bytes.buffer).getBigUint64(image.snapshotTable));
  put(image.bytes, snapshotL1, 8, FAR);
  const report = await lostAfter(image);
  expect(placesOf(report)).toEqual([{ snapshot: '7', start: 0, length: SMALL }]);
  expect(report.lostBytes).toBe(SMALL);
});
