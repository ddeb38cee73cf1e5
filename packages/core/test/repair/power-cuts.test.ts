/**
 * Power cuts in the middle of repairs. What could be read before can be read, no fault is of a new kind, and a second
 * repair completes the first.
 */
import { describe, expect, test } from 'vitest';
import type { CheckReport } from '../../src/index.js';
import { bufferDevice, bufferSource, isQcow2Error, type RepairReport } from '../../src/index.js';
import { checkSource } from '../../src/verbs/check/check.js';
import { repairDevice } from '../../src/verbs/repair/repair.js';
import { bytesAfter, damages, harmAtRandom, mixed, plans } from '../check/damages.js';
import { CrashWalk } from '../crash/crash-states.js';
import { numbers } from '../support/numbers.js';
import { DeviceLog } from '../support/recording-device.js';
import { type Clusters, clustersOf, isLost } from './what-was-left.js';

/** How many states of the medium are looked at, over all images. */
const CRASHES = Number(process.env.QCOW2_REPAIR_CRASHES ?? 5000);
/** Random damages of each kind of image. */
const RANDOM = 5;

const images: { name: string; bytes: Uint8Array }[] = [
  ...damages.map(({ name, plan, harm }) => {
    const image = mixed(plan);
    return { name, bytes: bytesAfter(harm(image), image) };
  }),
  ...plans.flatMap((plan, kind) =>
    Array.from({ length: RANDOM }, (_, round) => {
      const next = numbers(kind * 100 + round + 7);
      const image = mixed(plan);
      for (let i = next() % 3; i >= 0; i--) harmAtRandom(image, next);
      return { name: `kind ${kind}, damage ${round}`, bytes: image.bytes };
    }),
  ),
];

/** The faults of an image; null when it cannot be checked. */
async function faultsOf(bytes: Uint8Array): Promise<CheckReport['findings'] | null> {
  try {
    return (await checkSource(bufferSource(bytes))).report.findings;
  } catch (error) {
    if (isQcow2Error(error, 'corrupt', 'unsupported')) return null;
    throw error;
  }
}

/** What a power cut in a repair may add. */
const ALLOWED = ['refcount-high', 'copied-missing'];

describe('a power cut in the middle of a repair', () => {
  test.each(images)('of $name', async ({ bytes }) => {
    const log = new DeviceLog();
    const report = await repairDevice(log.add(bytes), { fix: 'all' });
    const before = { clusters: await clustersOf(bytes), faults: await faultsOf(bytes), report };
    const positions = log.entries.length + 1;
    const perPosition = Math.max(1, Math.round(CRASHES / images.length / positions));
    const walk = new CrashWalk(log);
    for (; ; walk.step()) {
      const states = walk.pendingSectors === 0 ? 1 : perPosition;
      for (let seed = 0; seed < states; seed++) {
        await walk.crashed(walk.choose(seed * 1000 + walk.position), async ([source]) => {
          const state = new Uint8Array(source!.size);
          await source!.read([{ at: 0, bytes: state }]);
          await judge(state, before, `entry ${walk.position}, seed ${seed}`);
        });
      }
      if (walk.next === undefined) break;
    }
  });
});

interface Before {
  readonly clusters: Clusters | null;
  readonly faults: CheckReport['findings'] | null;
  readonly report: RepairReport;
}

async function judge(state: Uint8Array, before: Before, where: string): Promise<void> {
  const faults = await faultsOf(state);
  if (before.faults !== null) {
    expect(faults, where).not.toBeNull();
    const known = new Set<string>([...ALLOWED, ...before.faults.map(({ fault }) => fault)]);
    expect(
      faults!.filter(({ fault }) => !known.has(fault)),
      where,
    ).toEqual([]);
  }
  await expectReadable(state, before, where);
  const device = bufferDevice(state);
  const { after } = await repairDevice(device, { fix: 'all' });
  expect(after.findings, where).toEqual([]);
  await expectReadable(device.bytes(), before, `${where}, repaired again`);
}

/** Expects that every cluster that could be read, and is not lost, reads the same. */
async function expectReadable(state: Uint8Array, { clusters, report }: Before, where: string): Promise<void> {
  if (clusters === null) return;
  const now = await clustersOf(state);
  expect(now, where).not.toBeNull();
  const size = clusters[0]?.length ?? 1;
  clusters.forEach((bytes, index) => {
    if (bytes === null || isLost(report, index, size)) return;
    const read = now![index];
    if (!read || Buffer.compare(read, bytes) !== 0) expect.fail(`${where}: cluster ${index} does not read the same`);
  });
}
