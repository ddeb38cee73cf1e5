/** Looks for bits of bitmaps past the end of the disk. */

import { decodeBitmapTableEntry, findBit } from '../../../format/bitmap-table.js';
import type { Bitmap } from '../../../format/bitmaps.js';
import { viewOf } from '../../../format/bytes.js';
import { diskSizeOf } from '../../../format/header.js';
import { readDirectory } from '../check-bitmaps.js';
import type { CheckContext } from '../check-context.js';
import type { Counting } from '../count-references.js';

/** Bytes of a table that are read at once. */
const BATCH_BYTES = 64 * 1024;

/** Reports the bits of each bitmap that stand for no byte of the disk. */
export async function checkBitmapBits(context: CheckContext, { extensions, yieldIfDue }: Counting): Promise<void> {
  const { bitmaps } = await readDirectory(context, extensions);
  for (const [number, bitmap] of bitmaps.entries()) await checkBits(context, bitmap, number, yieldIfDue);
}

async function checkBits(
  context: CheckContext,
  { tableOffset, tableSize, granularityBits }: Bitmap,
  number: number,
  yieldIfDue: () => Promise<void>,
): Promise<void> {
  const { header, geometry, fileSize, signal } = context;
  const perCluster = geometry.clusterSize * 8;
  const bits = Math.ceil(diskSizeOf(header) / 2 ** granularityBits);
  // The entry whose cluster has the disk's last bit, if others follow in it, or the entry after it.
  const first = tableOffset + Math.floor(bits / perCluster) * 8;
  const end = Math.min(tableOffset + tableSize * 8, fileSize);
  for (let start = first; start + 8 <= end; start += BATCH_BYTES) {
    signal?.throwIfAborted();
    const table = viewOf(await context.read(start, Math.min(BATCH_BYTES, end - start)));
    for (let at = 0; at + 8 <= table.byteLength; at += 8) {
      const index = (start + at - tableOffset) / 8;
      const from = Math.max(0, bits - index * perCluster);
      if (!(await hasBits(context, table, at / 8, from))) continue;
      const place = { what: `table of bitmap ${number}, entry ${index}`, at: start + at };
      const message = () => `It has bits past the end of the disk, which has ${bits} of them.`;
      context.findings.add('extra', 'bitmap-bits', 'bookkeeping', place, message);
    }
    await yieldIfDue();
  }
}

/** True if a bit from `from` on is set in the cluster of an entry. An entry of ones means ones up to the disk's end. */
async function hasBits(context: CheckContext, table: DataView, index: number, from: number): Promise<boolean> {
  const { clusterSize } = context.geometry;
  const entry = decodeBitmapTableEntry(table, index, clusterSize);
  if (entry === 'clear') return false;
  if (entry === 'set') return from === 0;
  // A fault of the entry is a finding of its own.
  if ('fault' in entry) return false;
  const bytes = await context.read(entry.offset, clusterSize);
  return findBit(bytes, Math.min(from, bytes.length * 8), bytes.length * 8, true) < bytes.length * 8;
}
