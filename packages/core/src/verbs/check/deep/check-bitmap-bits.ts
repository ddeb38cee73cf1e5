/** Looks for bits of bitmaps past the end of the disk. */

import { decodeBitmapTableEntry } from '../../../format/bitmap-table.js';
import type { Bitmap } from '../../../format/bitmaps.js';
import { viewOf } from '../../../format/bytes.js';
import { diskSizeOf } from '../../../format/header.js';
import { MAX_BITMAP_DATA_BYTES } from '../../../format/limits.js';
import { readDirectory } from '../check-bitmaps.js';
import type { CheckContext } from '../check-context.js';
import type { Counting } from '../count-references.js';

/** Bytes of a table that are read at once. */
const BATCH_BYTES = 64 * 1024;

/** The last bit that is set in each cluster that was looked at, by its offset; -1 where none is. */
type LastBits = Map<number, number>;

/** Reports the bits of each bitmap that stand for no byte of the disk. */
export async function checkBitmapBits(context: CheckContext, { extensions, yieldIfDue }: Counting): Promise<void> {
  const { bitmaps } = await readDirectory(context, extensions);
  const lastBits: LastBits = new Map();
  for (const [number, bitmap] of bitmaps.entries()) await checkBits(context, bitmap, number, lastBits, yieldIfDue);
}

async function checkBits(
  context: CheckContext,
  { tableOffset, tableSize, granularityBits }: Bitmap,
  number: number,
  lastBits: LastBits,
  yieldIfDue: () => Promise<void>,
): Promise<void> {
  const { header, geometry, fileSize, signal } = context;
  // QEMU refuses it.
  if (tableSize * geometry.clusterSize > MAX_BITMAP_DATA_BYTES) return;
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
      if (!(await hasBits(context, table, at / 8, from, lastBits))) continue;
      const place = { what: `table of bitmap ${number}, entry ${index}`, at: start + at };
      const message = () => `It has bits past the end of the disk, which has ${bits} of them.`;
      context.findings.add('extra', 'bitmap-bits', 'bookkeeping', place, message);
    }
    await yieldIfDue();
  }
}

/** True if a bit from `from` on is set in the cluster of an entry. An entry of ones means ones up to the disk's end. */
async function hasBits(
  context: CheckContext,
  table: DataView,
  index: number,
  from: number,
  lastBits: LastBits,
): Promise<boolean> {
  const { clusterSize } = context.geometry;
  const entry = decodeBitmapTableEntry(table, index, clusterSize);
  if (entry === 'clear') return false;
  if (entry === 'set') return from === 0;
  // A fault of the entry is a finding of its own.
  if ('fault' in entry) return false;
  if (entry.offset >= context.fileSize) return false;
  let last = lastBits.get(entry.offset);
  if (last === undefined) {
    last = lastBit(await context.read(entry.offset, clusterSize));
    lastBits.set(entry.offset, last);
  }
  return last >= from;
}

/** The last bit that is set; -1 when none is. Bit 0 is the least significant bit of the first byte. */
function lastBit(bytes: Uint8Array): number {
  for (let at = bytes.length - 1; at >= 0; at--) {
    if (bytes[at] !== 0) return at * 8 + 31 - Math.clz32(bytes[at]!);
  }
  return -1;
}
