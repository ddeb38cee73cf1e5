/** What all steps of a repair share. */

import type { RepairOptions } from '../../api/repair-report.js';
import { yieldToEventLoop } from '../../engine/async/yield-to-event-loop.js';
import { readHeader } from '../../engine/layer/metadata.js';
import type { HeaderExtension } from '../../format/extensions.js';
import { type Geometry, geometryOfHeader } from '../../format/geometry.js';
import type { Header } from '../../format/header.js';
import { MAX_REFCOUNT_TABLE_BYTES } from '../../format/limits.js';
import { refcountsPerBlock } from '../../format/refcounts.js';
import type { Checked } from '../check/check.js';
import { countedEnd } from './counted-clusters.js';
import { FileEnd } from './file-end.js';
import type { Medium } from './medium.js';
import type { RepairLog } from './repair-log.js';

/** An image under repair, as it was when the present round began. */
export interface RepairContext {
  readonly medium: Medium;
  readonly header: Header;
  readonly geometry: Geometry;
  readonly extensions: readonly HeaderExtension[];
  /** Length of the file when the step began, bytes. Entries that lead further are invalid. */
  readonly fileSize: number;
  readonly end: FileEnd;
  readonly log: RepairLog;
  readonly signal: AbortSignal | undefined;
  /** Yields to the event loop when due. */
  readonly yieldIfDue: () => Promise<void>;
}

/** The state of a step, as the medium is now. `checked` is its check, where the step may need new clusters. */
export async function contextOf(
  medium: Medium,
  log: RepairLog,
  { signal }: Pick<RepairOptions, 'signal'>,
  checked: Checked | null,
): Promise<RepairContext> {
  const { header, extensions } = await readHeader(medium, signal);
  const geometry = geometryOfHeader(header);
  const end = new FileEnd(medium, geometry.clusterSize, usedEndOf(header, geometry, checked));
  return {
    medium,
    header,
    geometry,
    extensions,
    fileSize: medium.size,
    end,
    log,
    signal,
    yieldIfDue: yieldToEventLoop(),
  };
}

/**
 * The end of the last cluster in use, in bytes, if refcounts can count hardly more clusters than the file has, most of
 * which must be holes; else null. Also null where a check does not count everything that a repair keeps.
 */
function usedEndOf(header: Header, geometry: Geometry, checked: Checked | null): number | null {
  const { clusterSize, extendedL2, externalData } = geometry;
  if (checked === null || checked.refcounts === null || extendedL2 || externalData) return null;
  if (checked.report.findings.some(({ fault }) => fault === 'snapshot-table')) return null;
  const perBlock = refcountsPerBlock(clusterSize, header.refcountOrder);
  const countable = (MAX_REFCOUNT_TABLE_BYTES / 8) * perBlock;
  const { clusters, references } = checked.context;
  if (clusters < countable - countable / 16) return null;
  return Math.max(countedEnd(references), countedEnd(checked.refcounts.counts)) * clusterSize;
}

/** True if a cluster has more references than are counted: its count may stand for any number above it. */
export function hasOverflow({ report }: Checked): boolean {
  return report.findings.some(({ fault }) => fault === 'refcount-overflow');
}

/**
 * What is read where an entry was removed. Over a backing file zeros need an entry of their own, which version 2 does
 * not have: there the backing file is read.
 */
export function readOfRemoved({ header }: Pick<RepairContext, 'header'>): 'nothing' | 'zero entries' | 'backing file' {
  if (header.backingFileOffset === 0) return 'nothing';
  return header.version === 3 ? 'zero entries' : 'backing file';
}
