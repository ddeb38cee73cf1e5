/**
 * Repairs an image. `docs/durability.md` has the order of its writes: entries are corrected first, then clusters are
 * copied, refcounts are raised, entries lead to the copies, refcounts fall, and the marks go last.
 */

import type { CheckReport } from '../../api/check-report.js';
import type { BlockDevice } from '../../api/device.js';
import type { RepairOptions, RepairReport } from '../../api/repair-report.js';
import { Qcow2Error } from '../../errors.js';
import { alignUp, viewOf } from '../../format/bytes.js';
import { EXTENSION, findExtension } from '../../format/extensions.js';
import type { Snapshot } from '../../format/snapshots.js';
import type { Checked } from '../check/check.js';
import { areCountsAloneWrong } from './counts-alone.js';
import { disksOf } from './disks.js';
import { endOfEntries } from './end-of-entries.js';
import { clearAutoclear, isMarked } from './header-sector.js';
import { DeviceMedium, MarkedMedium, type Medium, OverlayMedium } from './medium.js';
import { MediumChecks } from './medium-checks.js';
import { metadataRoles } from './metadata-roles.js';
import type { PendingChange } from './pending-change.js';
import { correctBitmaps } from './repair-bitmaps.js';
import { contextOf, hasOverflow, type RepairContext } from './repair-context.js';
import { correctCopied } from './repair-copied.js';
import { correctHeader } from './repair-header.js';
import { RepairLog } from './repair-log.js';
import { clearBlocksPastEnd } from './repair-refcounts.js';
import { planSnapshots, writeSnapshots } from './repair-snapshots.js';
import { repairSteps } from './repair-steps.js';
import { addZeroTables, repairL1Tables, repairL2Tables } from './repair-tables.js';
import { requireRepairable } from './require-repairable.js';
import { NO_SEPARATION, separateClusters } from './separate-clusters.js';
import { shortenL1Table } from './shorten-l1-table.js';

/** Rounds after which a repair ends, whatever is left. A round repairs what the one before it uncovered. */
const MAX_ROUNDS = 4;

/**
 * Repairs the image on a device, which nothing else uses meanwhile. A dry run writes nothing.
 *
 * @throws {@link Qcow2Error} `needs-repair` when `'leaks'` is asked for and there are other faults; `not-qcow2`,
 *   `unsupported` and `corrupt` when the header or the active L1 table cannot be read; what the device throws; the
 *   signal's reason when it aborts: a later repair completes this one.
 */
export async function repairDevice(device: BlockDevice, options: RepairOptions): Promise<RepairReport> {
  const { fix, dryRun = false, signal } = options;
  signal?.throwIfAborted();
  await requireRepairable(new DeviceMedium(device), signal);
  const medium = dryRun ? new OverlayMedium(device) : new DeviceMedium(device);
  return fix === 'leaks' ? repairLeaks(medium, options) : repairAll(medium, options);
}

async function repairLeaks(inner: Medium, options: RepairOptions): Promise<RepairReport> {
  const log = new RepairLog(await isMarked(inner));
  const medium = new MarkedMedium(inner, async () => clearAutoclear(inner, await versionOf(inner)));
  const checks = new MediumChecks(inner, options);
  const before = await checks.now();
  refuseOtherFaults(before.report);
  const context = await contextOf(medium, log, options, null);
  await repairSteps.lowerRefcounts(context, before);
  await correctCopied(context, disksOf(context, [])[0]!, before);
  return finish(context, before.report, checks);
}

function refuseOtherFaults({ findings }: CheckReport): void {
  const other = findings.find(({ kind, fault }) => kind !== 'leak' && kind !== 'extra' && !fault.startsWith('copied-'));
  if (other === undefined) return;
  const message = `The image has faults other than leaks: ${other.fault}. Repair it with fix: 'all'.`;
  throw new Qcow2Error('needs-repair', message, { what: other.fault });
}

async function repairAll(inner: Medium, options: RepairOptions): Promise<RepairReport> {
  const { signal } = options;
  const log = new RepairLog(await isMarked(inner));
  const medium = new MarkedMedium(inner, async () => repairSteps.markUnderRepair(inner, await versionOf(inner)));
  const sizeBefore = inner.size;
  await correctHeader(medium, log, signal);
  const checks = new MediumChecks(inner, options);
  let now = await checks.now();
  const before = log.changed ? undefined : now.report;
  if (await makeLastClusterWhole(medium, now)) now = await checks.now();
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const whole = await contextOf(medium, log, options, now);
    // Where the header got a refcount table behind the file, what led there before leads nowhere.
    const end = log.changed && round === 0 ? sizeBefore : whole.fileSize;
    const context = { ...whole, fileSize: Math.min(end, await endOfEntries(whole)) };
    // A check does not look at everything for which QEMU refuses a bitmap.
    const hasBitmaps = findExtension(context.extensions, EXTENSION.bitmaps) !== undefined;
    if (isClean(now.report) && (round > 0 || !hasBitmaps)) break;
    await repairRound(context, now, checks);
    const next = await checks.now();
    if (isSame(next.report, now.report)) break;
    now = next;
  }
  return finish(await contextOf(inner, log, options, null), before, checks);
}

/**
 * Makes the file as long as the cluster that a compressed stream reaches past its end: the cluster is counted then.
 * What is behind the stream's end does not matter. Returns true if it did.
 */
async function makeLastClusterWhole(medium: Medium, { context }: Checked): Promise<boolean> {
  const { clusterSize } = context.geometry;
  const end = alignUp(medium.size, clusterSize);
  if (context.references.get(end / clusterSize) === 0) return false;
  await medium.write([{ at: end, bytes: new Uint8Array(clusterSize) }]);
  await medium.flush();
  return true;
}

/** One round: everything that the check has shown. */
async function repairRound(context: RepairContext, before: Checked, checks: MediumChecks): Promise<void> {
  const { medium, log, signal } = context;
  if (await shortenL1Table(context, sharing(before))) return;
  const countsAlone = areCountsAloneWrong(context, before);
  if (countsAlone) await clearBlocksPastEnd(context);
  const kept = countsAlone ? [] : await repairStructures(context, before, checks);
  const counted = await checks.now();
  const placed = await contextOf(medium, log, { signal }, counted);
  const disks = disksOf(placed, kept);
  const { redirects, added } = countsAlone ? NO_SEPARATION : await separateClusters(placed, disks, counted);
  await repairSteps.raiseRefcounts(placed, counted, added);
  await medium.write(redirects);
  await medium.flush();
  const after = await checks.now();
  if (isClean(after.report)) return;
  const final = await contextOf(medium, log, { signal }, null);
  await repairSteps.lowerRefcounts(final, after);
  await correctCopied(final, disksOf(final, [])[0]!, after);
}

/** Repairs everything but counts and clusters with two uses. Returns the snapshots that are kept, as they are then. */
async function repairStructures(
  context: RepairContext,
  before: Checked,
  checks: MediumChecks,
): Promise<readonly Snapshot[]> {
  const { medium, header, geometry, log, signal } = context;
  const active = await metadataRoles(context, disksOf(context, []), 0, before);
  const isShared = sharing(before);
  const plan = await planSnapshots(medium, header, geometry, log, signal, (at, length) => {
    if (active.touchesTable(at, length)) return 'table';
    return isShared(at, length) ? 'shared' : 'free';
  });
  const disks = disksOf(context, plan.kept);
  const roles = await metadataRoles(context, disks, plan.tableBytes, before);
  const { refcountTableOffset, refcountTableClusters } = header;
  // A table that is something else as well is not changed in place, but replaced.
  const isReplaced = isShared(refcountTableOffset, refcountTableClusters * geometry.clusterSize);
  if (!isReplaced) await clearBlocksPastEnd(context);
  await repairL2Tables(context, disks, roles);
  const removed = await repairL1Tables(context, disks, roles);
  const zeroTables = await addZeroTables(context, removed);
  const snapshots = await writeSnapshots(context, plan);
  const isTaken = (at: number, length: number) => roles.touches(at, length) || isShared(at, length);
  const bitmaps = await correctBitmaps(context, isTaken);
  await applyCounted(context, [zeroTables, snapshots, bitmaps], checks);
  return snapshots.placed;
}

/** Whether any cluster of host bytes has, or may have, more than one reference. */
function sharing(checked: Checked): (at: number, length: number) => boolean {
  const { references, geometry, maxRefcount: max } = checked.context;
  const isCapped = hasOverflow(checked);
  return (at, length) => {
    for (let cluster = Math.floor(at / geometry.clusterSize); cluster * geometry.clusterSize < at + length; cluster++) {
      const count = references.get(cluster);
      if (count > 1 || (isCapped && count === max)) return true;
    }
    return false;
  };
}

/** Applies changes that need new clusters, once these are counted. */
async function applyCounted(
  context: RepairContext,
  changes: readonly PendingChange[],
  checks: MediumChecks,
): Promise<void> {
  const { medium } = context;
  const added = new Map(changes.flatMap((change) => [...change.added]));
  await medium.flush();
  if (added.size > 0) await repairSteps.raiseRefcounts(context, await checks.now(), added);
  for (const { commit } of changes) await commit();
  await medium.flush();
}

/** Checks the medium once more, and clears the marks of an image that is clean. */
async function finish(
  { medium, header, log }: RepairContext,
  before: CheckReport | undefined,
  checks: MediumChecks,
): Promise<RepairReport> {
  await medium.flush();
  const { report: after } = await checks.atEnd();
  if (isClean(after)) {
    await repairSteps.clearMarks(medium, header.version);
    if (log.wasMarked) log.count('marks-cleared');
  }
  const { repairs, lost, lostBytes, copied, dropped } = log;
  return { before, after, repairs, lost, lostBytes, copied, dropped };
}

async function versionOf(medium: Medium): Promise<2 | 3> {
  const bytes = new Uint8Array(8);
  await medium.read([{ at: 0, bytes }]);
  return viewOf(bytes).getUint32(4) === 2 ? 2 : 3;
}

function isClean({ corruptions, leaks, checkErrors, extra }: CheckReport): boolean {
  return corruptions + leaks + checkErrors + extra === 0;
}

/** True if a round has changed nothing that a check shows. */
function isSame(a: CheckReport, b: CheckReport): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
