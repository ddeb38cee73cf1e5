/** Cuts the power in the middle of a repair, and judges what is on the medium then. */
import { bufferDevice, bufferSource, type CheckReport, isQcow2Error, type RepairReport } from '../../src/index.js';
import { checkSource } from '../../src/verbs/check/check.js';
import { repairDevice } from '../../src/verbs/repair/repair.js';
import { CrashWalk } from '../crash/crash-states.js';
import { DeviceLog } from '../support/recording-device.js';
import { type Clusters, clustersOf, isLost } from './what-was-left.js';

/** The image before the repair, and the report of the repair without a power cut. */
interface Before {
  readonly bytes: Uint8Array;
  readonly clusters: Clusters | null;
  readonly findings: CheckReport['findings'] | null;
  readonly report: RepairReport;
}

/** What a power cut in a repair may add. */
const ALLOWED: readonly string[] = ['refcount-high', 'copied-missing'];

/**
 * Repairs an image, and looks at `states` states that power cuts can leave, the same number at each place. Returns what
 * is wrong with the first bad one; null when all are good.
 */
export async function violationOf(bytes: Uint8Array, states: number): Promise<string | null> {
  const log = new DeviceLog();
  const report = await repairDevice(log.add(bytes), { fix: 'all' });
  const before = { bytes, clusters: await clustersOf(bytes), findings: await findingsOf(bytes), report };
  const perPosition = Math.max(1, Math.round(states / (log.entries.length + 1)));
  const walk = new CrashWalk(log);
  for (; ; walk.step()) {
    const seeds = walk.pendingSectors === 0 ? 1 : perPosition;
    for (let seed = 0; seed < seeds; seed++) {
      const wrong = await walk.crashed(walk.choose(seed * 1000 + walk.position), async ([source]) => {
        const state = new Uint8Array(source!.size);
        await source!.read([{ at: 0, bytes: state }]);
        return judge(state, before);
      });
      if (wrong !== null) return `entry ${walk.position} of ${log.entries.length}, seed ${seed}: ${wrong}`;
    }
    if (walk.next === undefined) return null;
  }
}

/** The findings of a check; null when the image cannot be checked. */
async function findingsOf(bytes: Uint8Array): Promise<CheckReport['findings'] | null> {
  try {
    return (await checkSource(bufferSource(bytes))).report.findings;
  } catch (error) {
    if (isQcow2Error(error, 'corrupt', 'unsupported')) return null;
    throw error;
  }
}

async function judge(state: Uint8Array, before: Before): Promise<string | null> {
  const findings = await findingsOf(state);
  if (before.findings !== null) {
    if (findings === null) return 'it cannot be checked';
    const known = new Set<string>([...ALLOWED, ...before.findings.map(({ fault }) => fault)]);
    const added = findings.find(({ fault }) => !known.has(fault));
    if (added !== undefined) return `it has the new fault ${added.fault}: ${JSON.stringify(added.places[0])}`;
    const isFaulty = findings.some(({ kind, fault }) => kind !== 'extra' && !ALLOWED.includes(fault));
    const isChanged = state.length !== before.bytes.length || Buffer.compare(state, before.bytes) !== 0;
    if (isFaulty && isChanged && state[7] === 3 && (state[79]! & 2) === 0) return 'it is not marked';
  }
  const unread = await unreadable(state, before);
  if (unread !== null) return unread;
  const device = bufferDevice(state);
  const { after } = await repairDevice(device, { fix: 'all' });
  if (after.findings.length > 0) return `a second repair leaves ${JSON.stringify(after.findings[0])}`;
  const lost = await unreadable(device.bytes(), before);
  return lost && `after a second repair ${lost}`;
}

/** A cluster that could be read, is not lost, and does not read the same; null when there is none. */
async function unreadable(state: Uint8Array, { clusters, report }: Before): Promise<string | null> {
  if (clusters === null) return null;
  const now = await clustersOf(state);
  if (now === null) return 'the image cannot be opened';
  const size = clusters[0]?.length ?? 1;
  for (const [index, bytes] of clusters.entries()) {
    if (bytes === null || isLost(report, index, size)) continue;
    const read = now[index];
    if (!read || Buffer.compare(read, bytes) !== 0) return `cluster ${index} does not read the same`;
  }
  return null;
}
