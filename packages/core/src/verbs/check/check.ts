/**
 * Checks an image: counts every reference to every cluster, and compares the counts with the refcounts. The figures are
 * those of `qemu-img check`, and the order is QEMU's. Reads the file anew, and relies on nothing but the header's
 * fields.
 */

import type { CheckOptions, CheckReport } from '../../api/check-report.js';
import type { ByteSource } from '../../api/device.js';
import { yieldToEventLoop } from '../../engine/async/yield-to-event-loop.js';
import type { Codec } from '../../engine/layer/codec.js';
import type { Qcow2Layer } from '../../engine/layer/layer.js';
import { readHeader } from '../../engine/layer/metadata.js';
import type { Writer } from '../../engine/write/writer.js';
import { geometryOfHeader } from '../../format/geometry.js';
import { diskSizeOf } from '../../format/header.js';
import { validateTables } from '../../format/validate.js';
import { CheckContext, MAX_CLUSTERS } from './check-context.js';
import { RefcountsOnDisk } from './check-refcounts.js';
import { compareRefcounts } from './compare-refcounts.js';
import { countReferences } from './count-references.js';
import { checkDeep } from './deep/deep-check.js';
import { findReferences } from './find-references.js';
import { Findings } from './findings.js';

/** Options of the check of a source. */
export interface SourceCheckOptions extends CheckOptions {
  /** Inflates compressed clusters. Without it, a deep check leaves them out. */
  readonly codec?: Codec | undefined;
  /** Read in place of the source for the header and the snapshot table, which are read beyond their ends. */
  readonly ahead?: ByteSource | undefined;
}

/** The report of a check, and the counts that it was made from, for operations that continue with them. */
export interface Checked {
  readonly report: CheckReport;
  readonly context: CheckContext;
  /** The refcounts on the medium; null when the file has more clusters than can be counted. */
  readonly refcounts: RefcountsOnDisk | null;
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
  const { source, codec } = layer;
  const check = async (signal = options.signal) => (await checkSource(source, { ...options, codec, signal })).report;
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
  const geometry = geometryOfHeader(header);
  validateTables(header, geometry, source.size);
  const context = new CheckContext(source, header, geometry, source.size, findings, signal);
  const totalClusters = Math.ceil(diskSizeOf(header) / geometry.clusterSize);
  if (context.clusters > MAX_CLUSTERS) {
    const message = () => `The file has ${context.clusters} clusters; ${MAX_CLUSTERS} is the most that can be counted.`;
    findings.add('check-error', 'too-large', 'bookkeeping', { what: 'file', at: 0 }, message);
    const none = { allocatedClusters: 0, fragmentedClusters: 0, compressedClusters: 0, imageEndOffset: 0 };
    return { context, refcounts: null, report: report(findings, { totalClusters, ...none }) };
  }
  const yieldIfDue = yieldToEventLoop();
  const refcounts = await RefcountsOnDisk.read(context, yieldIfDue);
  const counting = { refcounts, extensions, options, yieldIfDue, ahead: options.ahead ?? source };
  const { allocation, tables } = await countReferences(context, counting, 'check');
  const imageEndOffset = await compareRefcounts(context, refcounts, yieldIfDue);
  if (options.deep) await checkDeep(context, tables, counting, options.codec);
  if (findings.shared.size > 0) await findReferences(context, counting, findings.shared);
  findings.settle();
  const found = report(findings, {
    totalClusters,
    allocatedClusters: allocation.allocated,
    fragmentedClusters: allocation.fragmented,
    compressedClusters: allocation.compressed,
    imageEndOffset,
  });
  return { context, refcounts, report: found };
}

function report(
  findings: Findings,
  figures: Omit<CheckReport, 'corruptions' | 'leaks' | 'checkErrors' | 'extra' | 'findings'>,
): CheckReport {
  const { corruptions, leaks, checkErrors, extra } = findings;
  return { corruptions, leaks, checkErrors, extra, ...figures, findings: findings.list() };
}
