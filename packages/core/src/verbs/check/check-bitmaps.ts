/** Counts the references of the persistent bitmaps: their directory, their tables, and their clusters. */

import { bitmapDirectory } from '../../engine/layer/bitmap-directory.js';
import { isQcow2Error } from '../../errors.js';
import { decodeBitmapTableEntry } from '../../format/bitmap-table.js';
import { type Bitmap, decodeBitmaps } from '../../format/bitmaps.js';
import { viewOf } from '../../format/bytes.js';
import type { HeaderExtension } from '../../format/extensions.js';
import type { CheckContext } from './check-context.js';

/** Bytes of a bitmap's table that are checked in one batch. */
const BATCH_BYTES = 4 * 1024 * 1024;

/** Counts the references of the bitmaps. There are none when the autoclear bit of the bitmaps is clear. */
export async function referBitmaps(
  context: CheckContext,
  extensions: readonly HeaderExtension[],
  turn: () => Promise<void>,
): Promise<void> {
  for (const [index, bitmap] of (await readDirectory(context, extensions)).entries()) {
    await referBitmap(context, bitmap, index, turn);
  }
}

async function readDirectory(
  context: CheckContext,
  extensions: readonly HeaderExtension[],
): Promise<readonly Bitmap[]> {
  const { header, geometry, fileSize, findings } = context;
  try {
    const directory = bitmapDirectory(header, extensions, geometry, fileSize);
    if (directory === null) return [];
    const { count, directoryOffset, directorySize } = directory;
    const place = { what: 'bitmap directory', at: directoryOffset };
    context.refer(directoryOffset, directorySize, 'bitmaps', () => place);
    return decodeBitmaps(await context.read(directoryOffset, directorySize), count, directoryOffset);
  } catch (error) {
    if (!isQcow2Error(error, 'corrupt', 'unsupported')) throw error;
    const place = { what: error.details.what ?? 'bitmap directory', at: error.details.at ?? 0 };
    findings.add('corruption', 'bitmap', 'bookkeeping', place, () => error.message);
    return [];
  }
}

async function referBitmap(
  context: CheckContext,
  { tableOffset, tableSize }: Bitmap,
  number: number,
  turn: () => Promise<void>,
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
    await turn();
  }
}
