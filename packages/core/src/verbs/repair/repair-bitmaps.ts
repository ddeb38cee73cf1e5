/** Removes the bitmaps that cannot be trusted. */
import { readBytes } from '../../engine/layer/read-bytes.js';
import { isQcow2Error } from '../../errors.js';
import { BITMAP_FLAG } from '../../format/bitmap-flag.js';
import { decodeBitmapTableEntry, tableEntriesNeeded } from '../../format/bitmap-table.js';
import { type Bitmap, decodeBitmaps, encodeBitmaps, hasBitmapFlag } from '../../format/bitmaps.js';
import {
  decodeBitmapsExtension,
  encodeBitmapsExtension,
  validateBitmapsExtension,
} from '../../format/bitmaps-extension.js';
import { hex, viewOf } from '../../format/bytes.js';
import { EXTENSION, findExtension, type HeaderExtension } from '../../format/extensions.js';
import type { Geometry } from '../../format/geometry.js';
import { AUTOCLEAR, diskSizeOf, type Header } from '../../format/header.js';
import { setAutoclear } from '../../format/header-fields.js';
import { MAX_BITMAP_DATA_BYTES } from '../../format/limits.js';
import { decodeName } from '../../format/names.js';
import type { FileEnd } from './file-end.js';
import { changeHeader } from './header-sector.js';
import type { Medium } from './medium.js';
import { NO_CHANGE, type PendingChange, referencesTo } from './pending-change.js';
import type { RepairContext } from './repair-context.js';
import { dropExtension } from './repair-header.js';
import type { RepairLog } from './repair-log.js';

/** The flags that QEMU knows. It refuses an image with others, of which the specification defines one. */
const ALL_FLAGS: number = (1 << BITMAP_FLAG.inUse) | (1 << BITMAP_FLAG.auto);
/** Bytes of a bitmap's table that are checked in one batch. */
const BATCH_BYTES = 4 * 1024 * 1024;

/** Decides whether host bytes of a bitmap are in use as something else as well. */
export type IsTaken = (at: number, length: number) => boolean;

/**
 * Removes each bitmap with an invalid table, and all of them when the directory is invalid. A bitmap that is not valid
 * loses nothing of the guest: a backup must be a full one.
 *
 * @throws what the medium throws; the signal's reason.
 */
export async function correctBitmaps(
  { medium, header, extensions, geometry, end, log, signal }: RepairContext,
  isTaken: IsTaken,
): Promise<PendingChange> {
  const extension = findExtension(extensions, EXTENSION.bitmaps);
  if (extension === undefined) return NO_CHANGE;
  const isValid = header.autoclearFeatures.includes(AUTOCLEAR.bitmaps);
  const bitmaps = isValid ? await readDirectory(medium, extension, geometry, isTaken, log, signal) : null;
  if (bitmaps === null) {
    if (!isValid)
      log.dropped.push({
        kind: 'bitmap',
        name: 'all',
        reason: 'A writer that does not know bitmaps has changed the image.',
      });
    return { ...NO_CHANGE, commit: () => dropBitmaps(medium, header, extensions, log) };
  }
  const kept: Bitmap[] = [];
  const repeated = repeatedNames(bitmaps);
  for (const bitmap of bitmaps) {
    const reason =
      entryFault(bitmap, diskSizeOf(header), geometry, repeated) ??
      (await tableFault(medium, bitmap, geometry, isTaken, signal));
    if (reason === null) kept.push(bitmap);
    else log.dropped.push({ kind: 'bitmap', name: decodeName(bitmap.name), reason });
  }
  if (kept.length === bitmaps.length) return NO_CHANGE;
  if (kept.length === 0) return { ...NO_CHANGE, commit: () => dropBitmaps(medium, header, extensions, log) };
  return writeDirectory(medium, extension, kept, end, geometry.clusterSize, log);
}

async function readDirectory(
  medium: Medium,
  extension: HeaderExtension,
  geometry: Geometry,
  isTaken: IsTaken,
  log: RepairLog,
  signal: AbortSignal | undefined,
): Promise<readonly Bitmap[] | null> {
  const drop = (reason: string): null => {
    log.dropped.push({ kind: 'bitmap', name: 'all', reason });
    return null;
  };
  try {
    const { count, directoryOffset, directorySize } = decodeBitmapsExtension(extension);
    validateBitmapsExtension({ count, directoryOffset, directorySize }, extension.offset, geometry, medium.size);
    if (isTaken(directoryOffset, directorySize)) return drop('The bitmap directory overlaps other metadata.');
    return decodeBitmaps(await readBytes(medium, directoryOffset, directorySize, signal), count, directoryOffset);
  } catch (error) {
    if (!isQcow2Error(error, 'corrupt', 'unsupported')) throw error;
    return drop(error.message);
  }
}

/** The names that several bitmaps have, as QEMU reads them. */
function repeatedNames(bitmaps: readonly Bitmap[]): ReadonlySet<string> {
  const seen = new Set<string>();
  const repeated = new Set<string>();
  for (const name of bitmaps.map((bitmap) => decodeName(bitmap.name))) (seen.has(name) ? repeated : seen).add(name);
  return repeated;
}

/** For which of a bitmap's own fields QEMU refuses the image, a sentence; null when there is none. */
function entryFault(
  bitmap: Bitmap,
  size: number,
  { clusterSize }: Geometry,
  repeated: ReadonlySet<string>,
): string | null {
  const { tableSize, flags, extra, name } = bitmap;
  const needed = tableEntriesNeeded(size, bitmap, clusterSize);
  if (flags > ALL_FLAGS) return `Its flags are ${hex(flags)}, with bits that QEMU does not know.`;
  if (extra.length > 0) return `It has ${extra.length} bytes of extra data, for which QEMU refuses the image.`;
  if (repeated.has(decodeName(name))) return 'Another bitmap has its name: which of them is meant is not known.';
  if (tableSize === 0) return 'Its table has no entries.';
  // One in use is invalid, whatever its table says: a disk may have been resized when its writer ended.
  if (tableSize === needed || hasBitmapFlag(bitmap, BITMAP_FLAG.inUse)) return null;
  return `Its table has ${tableSize} entries; the disk needs ${needed}.`;
}

/** What is wrong with a bitmap's table, a sentence; null when nothing is. */
async function tableFault(
  medium: Medium,
  bitmap: Bitmap,
  { clusterSize }: Geometry,
  isTaken: IsTaken,
  signal: AbortSignal | undefined,
): Promise<string | null> {
  const { tableOffset, tableSize } = bitmap;
  const length = tableSize * 8;
  if (tableSize * clusterSize > MAX_BITMAP_DATA_BYTES) return `Its table has ${tableSize} entries: too many.`;
  if (tableOffset === 0) return 'It has no table.';
  if (tableOffset % clusterSize !== 0) return `Its table is at ${hex(tableOffset)}, inside a cluster.`;
  if (tableOffset + length > medium.size) return 'Its table is past the end of the file.';
  if (isTaken(tableOffset, length)) return 'Its table overlaps other metadata.';
  for (let start = 0; start < length; start += BATCH_BYTES) {
    const table = viewOf(await readBytes(medium, tableOffset + start, Math.min(BATCH_BYTES, length - start), signal));
    for (let index = 0; index < table.byteLength / 8; index++) {
      const entry = decodeBitmapTableEntry(table, index, clusterSize);
      if (typeof entry === 'string') continue;
      const where = `Entry ${start / 8 + index} of its table`;
      if ('fault' in entry) return `${where} ${entry.fault}.`;
      if (entry.offset >= medium.size) return `${where} points to ${hex(entry.offset)}, past the end of the file.`;
      if (isTaken(entry.offset, clusterSize)) return `${where} points to other metadata.`;
    }
  }
  return null;
}

/** The autoclear bit first: without it, nothing reads the extension. */
async function dropBitmaps(
  medium: Medium,
  { version }: Header,
  extensions: readonly HeaderExtension[],
  log: RepairLog,
): Promise<void> {
  if (version === 3) await changeHeader(medium, (sector) => setAutoclear(sector, AUTOCLEAR.bitmaps, false));
  await dropExtension(medium, extensions, EXTENSION.bitmaps);
  log.count('bitmaps-rewritten');
}

/**
 * Writes a directory without the removed bitmaps at the end of the file. The extension may lie across two sectors, so
 * the bitmaps do not count as valid while it changes.
 */
async function writeDirectory(
  medium: Medium,
  extension: HeaderExtension,
  bitmaps: readonly Bitmap[],
  end: FileEnd,
  clusterSize: number,
  log: RepairLog,
): Promise<PendingChange> {
  const directory = encodeBitmaps(bitmaps);
  const directoryOffset = end.take(directory.length);
  await medium.write([{ at: directoryOffset, bytes: directory }]);
  const data = encodeBitmapsExtension({ count: bitmaps.length, directorySize: directory.length, directoryOffset });
  const commit = async () => {
    await changeHeader(medium, (sector) => setAutoclear(sector, AUTOCLEAR.bitmaps, false));
    await medium.write([{ at: extension.offset, bytes: data }]);
    await changeHeader(medium, (sector) => setAutoclear(sector, AUTOCLEAR.bitmaps, true));
    log.count('bitmaps-rewritten');
  };
  return { added: referencesTo(directoryOffset, directory.length, clusterSize), commit };
}
