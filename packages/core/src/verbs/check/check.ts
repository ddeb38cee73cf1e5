/**
 * Checks an image: counts every reference to every cluster, and compares the counts with the refcounts. The figures are
 * those of `qemu-img check`, and the order is QEMU's. Reads the file anew, and relies on nothing but the header's
 * fields.
 */

import type { CheckOptions, CheckReport } from '../../api/check-report.js';
import type { ByteSource } from '../../api/device.js';
import { progressOf } from '../../engine/async/progress.js';
import { yieldToEventLoop } from '../../engine/async/yield-to-event-loop.js';
import type { Qcow2Layer } from '../../engine/layer/layer.js';
import { readHeader } from '../../engine/layer/metadata.js';
import { readSnapshotTable, type SnapshotTable } from '../../engine/layer/snapshot-table.js';
import type { Writer } from '../../engine/write/writer.js';
import { isQcow2Error } from '../../errors.js';
import { getUint64, hex, viewOf } from '../../format/bytes.js';
import { EXTENSION, findExtension, type HeaderExtension } from '../../format/extensions.js';
import { geometryOf } from '../../format/geometry.js';
import { diskSizeOf, INCOMPATIBLE } from '../../format/header.js';
import { MAX_L1_BYTES } from '../../format/limits.js';
import type { Snapshot } from '../../format/snapshots.js';
import { validateTables } from '../../format/validate.js';
import { referBitmaps } from './check-bitmaps.js';
import { CheckContext } from './check-context.js';
import { RefcountsOnDisk } from './check-refcounts.js';
import { TableWalk } from './check-tables.js';
import { compareRefcounts } from './compare-refcounts.js';
import { Findings } from './findings.js';

/** QEMU's limit for the number of clusters that can be counted. */
const MAX_CLUSTERS = 2 ** 31 - 1;
/** Smallest size of a snapshot's extra data in version 3. */
const V3_EXTRA_BYTES = 16;

/** The report of a check, and the counts that it was made from, for operations that continue with them. */
export interface Checked {
  readonly report: CheckReport;
  readonly context: CheckContext;
  /** The refcounts on the medium; null when the file has more clusters than can be counted. */
  readonly refcounts: RefcountsOnDisk | null;
}

/** The options of {@link checkSource}. */
export interface SourceCheckOptions extends CheckOptions {
  /** Read in place of the source for the header and the snapshot table, which are read beyond their ends. */
  readonly ahead?: ByteSource | undefined;
}

/**
 * Checks an open image. If it is open for writing, it is flushed first, and changes wait until the check ends.
 *
 * @throws as {@link checkSource} does; what a flush throws; {@link Qcow2Error} `closed` when the image is closed
 *   meanwhile.
 */
export function checkImage(
  { layer, write }: { readonly layer: Qcow2Layer; readonly write: { readonly writer: Writer } | null },
  options: CheckOptions = {},
): Promise<CheckReport> {
  const check = async (signal = options.signal) => (await checkSource(layer.source, { ...options, signal })).report;
  return write === null ? check() : write.writer.atRest(check, options.signal);
}

/**
 * Checks the image in `source`, as it is on the medium. Findings are added to `findings`, which may end the check by
 * throwing.
 *
 * @throws {@link Qcow2Error} when the header cannot be opened; what the source throws; the signal's reason when it
 *   aborts.
 */
export async function checkSource(
  source: ByteSource,
  options: SourceCheckOptions = {},
  findings: Findings = new Findings(),
): Promise<Checked> {
  const { signal } = options;
  signal?.throwIfAborted();
  const { header, extensions } = await readHeader(options.ahead ?? source, signal);
  const geometry = geometryOf({
    version: header.version,
    clusterBits: header.clusterBits,
    extendedL2: header.incompatibleFeatures.includes(INCOMPATIBLE.extendedL2),
    externalData: header.incompatibleFeatures.includes(INCOMPATIBLE.dataFile),
  });
  validateTables(header, geometry, source.size);
  const context = new CheckContext(source, header, geometry, source.size, findings, signal);
  const totalClusters = Math.ceil(diskSizeOf(header) / geometry.clusterSize);
  const figures = { totalClusters, allocatedClusters: 0, fragmentedClusters: 0, compressedClusters: 0 };
  if (context.clusters > MAX_CLUSTERS) {
    const message = () => `The file has ${context.clusters} clusters; ${MAX_CLUSTERS} is the most that can be counted.`;
    findings.add('check-error', 'too-large', { what: 'file', at: 0 }, message);
    return { context, refcounts: null, report: report(findings, { ...figures, imageEndOffset: 0 }) };
  }
  const turn = yieldToEventLoop();
  const refcounts = await RefcountsOnDisk.read(context, turn);
  const walk = new TableWalk(context, refcounts, turn);
  await countReferences(context, walk, refcounts, extensions, options, turn);
  const imageEndOffset = await compareRefcounts(context, refcounts, turn);
  const { allocated, fragmented, compressed } = walk.allocation;
  Object.assign(figures, {
    allocatedClusters: allocated,
    fragmentedClusters: fragmented,
    compressedClusters: compressed,
  });
  return { context, refcounts, report: report(findings, { ...figures, imageEndOffset }) };
}

function report(
  { corruptions, leaks, checkErrors, extra, list }: Findings,
  figures: Omit<CheckReport, 'corruptions' | 'leaks' | 'checkErrors' | 'extra' | 'findings'>,
): CheckReport {
  return { corruptions, leaks, checkErrors, extra, ...figures, findings: list };
}

/** Counts every reference, in QEMU's order: when a count overflows, the order decides which reference is reported. */
async function countReferences(
  context: CheckContext,
  walk: TableWalk,
  refcounts: RefcountsOnDisk,
  extensions: readonly HeaderExtension[],
  options: SourceCheckOptions,
  turn: () => Promise<void>,
): Promise<void> {
  const { header, geometry } = context;
  const { l1TableOffset, l1Size, refcountTableOffset, refcountTableClusters } = header;
  const { snapshots, length } = await readSnapshots(context, options.ahead ?? context.source);
  const tables = snapshots.reduce((sum, snapshot) => sum + snapshot.l1Size, l1Size);
  const progress = progressOf(options, 'check', tables * geometry.bytesPerL2);
  let before = 0;
  const walked = (entries: number) => progress((before + entries) * geometry.bytesPerL2);

  context.referMetadata(0, geometry.clusterSize, () => ({ what: 'header', at: 0 }));
  await walk.walk({ of: '', active: true, at: l1TableOffset, entries: l1Size }, walked);
  before += l1Size;
  for (const [index, snapshot] of snapshots.entries()) {
    if (isSnapshotSane(context, snapshot, index)) {
      const { l1TableOffset: at, l1Size: entries } = snapshot;
      await walk.walk({ of: ` of snapshot ${index}`, active: false, at, entries }, walked);
    }
    before += snapshot.l1Size;
  }
  const table = { what: 'snapshot table', at: header.snapshotsOffset };
  context.referMetadata(header.snapshotsOffset, length, () => table);
  const refcountTable = { what: 'refcount table', at: refcountTableOffset };
  context.referMetadata(refcountTableOffset, refcountTableClusters * geometry.clusterSize, () => refcountTable);
  referEncryption(context, extensions);
  await referBitmaps(context, extensions, turn);
  refcounts.checkTable();
}

/** The snapshots, and the length of their table; none when it cannot be read, which is a finding. */
async function readSnapshots(context: CheckContext, source: ByteSource): Promise<SnapshotTable> {
  const { header, findings, geometry, signal } = context;
  try {
    const { snapshots, length } = await readSnapshotTable(source, header, signal);
    if (geometry.externalData && snapshots.length > 0) {
      const place = { what: 'snapshot table', at: header.snapshotsOffset };
      findings.add('corruption', 'external-data', place, () => 'An image with an external data file has snapshots.');
      return { snapshots: [], length };
    }
    return { snapshots, length };
  } catch (error) {
    if (!isQcow2Error(error, 'corrupt')) throw error;
    const place = { what: error.details.what ?? 'snapshot table', at: error.details.at ?? header.snapshotsOffset };
    findings.add('check-error', 'snapshot-table', place, () => error.message);
    return { snapshots: [], length: 0 };
  }
}

function isSnapshotSane({ findings, header, geometry }: CheckContext, snapshot: Snapshot, index: number): boolean {
  const place = { what: `snapshot ${index}`, at: header.snapshotsOffset };
  if (header.version === 3 && snapshot.extra.length < V3_EXTRA_BYTES) {
    const message = () => `It has ${snapshot.extra.length} bytes of extra data; version 3 needs ${V3_EXTRA_BYTES}.`;
    findings.add('corruption', 'snapshot-table', place, message);
  }
  const { l1TableOffset, l1Size } = snapshot;
  if (l1TableOffset % geometry.clusterSize !== 0) {
    const message = () => `Its L1 table is at ${hex(l1TableOffset)}, inside a cluster.`;
    findings.add('corruption', 'unaligned', place, message);
    return false;
  }
  if (l1Size > MAX_L1_BYTES / 8) {
    findings.add('corruption', 'snapshot-table', place, () => `Its L1 table has ${l1Size} entries: too many.`);
    return false;
  }
  return true;
}

function referEncryption(context: CheckContext, extensions: readonly HeaderExtension[]): void {
  const pointer = findExtension(extensions, EXTENSION.cryptoHeader);
  if (pointer === undefined || pointer.data.length < 16) return;
  const view = viewOf(pointer.data);
  const place = { what: 'full disk encryption header pointer', at: pointer.offset };
  context.referMetadata(getUint64(view, 0), getUint64(view, 8), () => place);
}
