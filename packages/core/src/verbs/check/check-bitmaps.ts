/** Counts the references of the persistent bitmaps: their directory, their tables, and their clusters. */

import { bitmapDirectory } from '../../engine/layer/bitmap-directory.js';
import { isQcow2Error, type Qcow2Error } from '../../errors.js';
import { decodeBitmapTableEntry } from '../../format/bitmap-table.js';
import { type Bitmap, decodeBitmaps } from '../../format/bitmaps.js';
import type { BitmapsExtension } from '../../format/bitmaps-extension.js';
import { viewOf } from '../../format/bytes.js';
import type { HeaderExtension } from '../../format/extensions.js';
import type { CheckContext } from './check-context.js';

/** Bytes of a bitmap's table that are checked in one batch. */
const BATCH_BYTES = 4 * 1024 * 1024;

/** What the bitmap directory contains. */
interface Directory {
  /** Null when there is none, or when it cannot be found. */
  readonly extension: BitmapsExtension | null;
  /** None when the directory is invalid. */
  readonly bitmaps: readonly Bitmap[];
  readonly error: Qcow2Error | null;
}

/** Counts the references of the bitmaps. There are none when the autoclear bit of the bitmaps is clear. */
export async function referBitmaps(
  context: CheckContext,
  extensions: readonly HeaderExtension[],
  yieldIfDue: () => Promise<void>,
): Promise<void> {
  const { extension, bitmaps, error } = await readDirectory(context, extensions);
  if (extension !== null) {
    const place = { what: 'bitmap directory', at: extension.directoryOffset };
    context.refer(extension.directoryOffset, extension.directorySize, 'bitmaps', () => place);
  }
  if (error !== null) {
    const { what = 'bitmap directory', at = 0 } = error.details;
    context.findings.add('corruption', 'bitmap', 'bookkeeping', { what, at }, () => error.message);
  }
  for (const [index, bitmap] of bitmaps.entries()) await referBitmap(context, bitmap, index, yieldIfDue);
}

/** Reads the bitmap directory. */
export async function readDirectory(context: CheckContext, extensions: readonly HeaderExtension[]): Promise<Directory> {
  const { header, geometry, fileSize } = context;
  let extension: BitmapsExtension | null = null;
  try {
    extension = bitmapDirectory(header, extensions, geometry, fileSize);
    if (extension === null) return { extension, bitmaps: [], error: null };
    const { count, directoryOffset, directorySize } = extension;
    const bytes = await context.read(directoryOffset, directorySize);
    return { extension, bitmaps: decodeBitmaps(bytes, count, directoryOffset), error: null };
  } catch (error) {
    if (!isQcow2Error(error, 'corrupt', 'unsupported')) throw error;
    return { extension, bitmaps: [], error };
  }
}

async function referBitmap(
  context: CheckContext,
  { tableOffset, tableSize }: Bitmap,
  number: number,
  yieldIfDue: () => Promise<void>,
): Promise<void> {
  const { geometry, fileSize, findings, signal } = context;
  const what = `table of bitmap ${number}`;
  context.refer(tableOffset, tableSize * 8, 'bitmaps', () => ({ what, at: tableOffset }));
  const end = Math.min(tableOffset + tableSize * 8, fileSize);
  for (let start = tableOffset; start + 8 <= end; start += BATCH_BYTES) {
    signal?.throwIfAborted();
    const table = viewOf(await context.read(start, Math.min(BATCH_BYTES, end - start)));
    for (let at = 0; at + 8 <= table.byteLength; at += 8) {
      const place = () => ({ what: `${what}, entry ${(start + at - tableOffset) / 8}`, at: start + at });
      const entry = decodeBitmapTableEntry(table, at / 8, geometry.clusterSize);
      if (typeof entry === 'string') continue;
      if ('fault' in entry) findings.add('corruption', 'bitmap', 'bookkeeping', place(), () => `It ${entry.fault}.`);
      else context.refer(entry.offset, geometry.clusterSize, 'bitmaps', place);
    }
    await yieldIfDue();
  }
}
