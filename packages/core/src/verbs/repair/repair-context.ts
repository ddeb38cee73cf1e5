/** What all steps of a repair share. */

import type { HeaderExtension } from '../../format/extensions.js';
import type { Geometry } from '../../format/geometry.js';
import type { Header } from '../../format/header.js';
import type { Checked } from '../check/check.js';
import type { FileEnd } from './file-end.js';
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

/** True if a cluster has more references than are counted: its count may stand for any number above it. */
export function hasOverflow({ report }: Checked): boolean {
  return report.findings.some(({ fault }) => fault === 'refcount-overflow');
}

/** True if unallocated clusters read as the backing file. */
export function hasBacking({ header }: RepairContext): boolean {
  return header.backingFileOffset !== 0;
}
