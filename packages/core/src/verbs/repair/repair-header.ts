/** Corrects the header, so that an image can be opened and checked if its fields and active L1 table are valid. */
import { extensionsEnd, readFirstCluster } from '../../engine/layer/metadata.js';
import { isQcow2Error } from '../../errors.js';
import { alignUp, hex, viewOf } from '../../format/bytes.js';
import { dropExtensions, droppedExtensionHeader } from '../../format/encode-extensions.js';
import {
  decodeExtensions,
  EXTENSION,
  EXTENSION_HEADER_BYTES,
  extensionName,
  findExtension,
  type HeaderExtension,
} from '../../format/extensions.js';
import { AUTOCLEAR, CRYPT_METHOD, decodeHeader, type Header, INCOMPATIBLE } from '../../format/header.js';
import { setAutoclear, setRefcountOrder, setRefcountTable, setSnapshotTable } from '../../format/header-fields.js';
import { isMisplaced, isTooLongFormat } from '../../format/header-rules.js';
import {
  MAX_BACKING_FORMAT_BYTES,
  MAX_CLUSTER_BITS,
  MAX_REFCOUNT_ORDER,
  MAX_REFCOUNT_TABLE_BYTES,
  MAX_SNAPSHOTS,
} from '../../format/limits.js';
import { validateLayout } from '../../format/validate.js';
import { changeHeader } from './header-sector.js';
import type { Medium } from './medium.js';
import { nameOfType, nextExtension } from './next-extension.js';
import type { RepairLog } from './repair-log.js';

/** The width of refcounts when the header's is invalid: 16 bits, as version 2 has. */
const USUAL_REFCOUNT_ORDER = 4;

/** Past the end of any file, and aligned to clusters of any size: a refcount table there reads as an empty one. */
const NOWHERE = 2 ** 53 - 2 ** MAX_CLUSTER_BITS;

/**
 * Corrects the fields and the extensions of the header, where they are what prevents opening. A `view`, which is only
 * read, gets no refcount table at its end: entries that lead past the end of the file would lead to it.
 *
 * @throws {@link Qcow2Error} when other fields are invalid; what the medium throws; the signal's reason.
 */
export async function correctHeader(
  medium: Medium,
  log: RepairLog,
  signal: AbortSignal | undefined,
  use: 'view' | 'repair' = 'repair',
): Promise<void> {
  const bytes = await readFirstCluster(medium, signal);
  const header = decodeHeader(bytes);
  validateLayout(header);
  let extensions = await readableExtensions(medium, header, bytes, log);
  const isListChanged = await dropInvalidFormat(medium, extensions, bytes, log);
  if (isListChanged) extensions = await readableExtensions(medium, header, bytes, log);
  await correctRefcountFields(medium, header, log, use);
  await correctSnapshotFields(medium, header, log);
  const hasBitmaps = findExtension(extensions, EXTENSION.bitmaps) !== undefined;
  const changed = await changeHeader(medium, (sector) => {
    if (header.version === 2) return;
    if (!hasBitmaps) setAutoclear(sector, AUTOCLEAR.bitmaps, false);
    const hasDataFile = header.incompatibleFeatures.includes(INCOMPATIBLE.dataFile);
    if (!hasDataFile) setAutoclear(sector, AUTOCLEAR.rawDataFile, false);
  });
  if (changed) log.count('header-corrected');
}

/**
 * The extensions without those that overhang. Where the next one is found behind such a one, it is dropped from the
 * middle of the list; otherwise it becomes the end of the list.
 */
async function readableExtensions(
  medium: Medium,
  header: Header,
  bytes: Uint8Array,
  log: RepairLog,
): Promise<readonly HeaderExtension[]> {
  const end = extensionsEnd(header);
  try {
    return decodeExtensions(bytes, header.headerLength, end);
  } catch (error) {
    // Without its extensions the clusters of the LUKS header would be free.
    const isEncrypted = header.cryptMethod !== CRYPT_METHOD.none;
    if (isEncrypted || !isQcow2Error(error, 'corrupt') || error.details.at === undefined) throw error;
    const { at } = error.details;
    const name = nameOfType(viewOf(bytes).getUint32(at));
    log.dropped.push({ kind: 'header extension', name, reason: error.message });
    log.count('header-corrected');
    const next = nextExtension(bytes, at, end);
    if (next !== null) {
      await dropUpTo(medium, bytes, at, next);
      return readableExtensions(medium, header, bytes, log);
    }
    // The list may end where its area ends, without a marker.
    const marker = new Uint8Array(Math.min(EXTENSION_HEADER_BYTES, end - at));
    bytes.set(marker, at);
    await medium.write([{ at, bytes: marker }]);
    await medium.flush();
    return decodeExtensions(bytes, header.headerLength, end);
  }
}

/** Drops the extension at `at`, whose length is damaged, so that the one at `next` follows it; `bytes` change, too. */
async function dropUpTo(medium: Medium, bytes: Uint8Array, at: number, next: number): Promise<void> {
  const header = droppedExtensionHeader(next - at - EXTENSION_HEADER_BYTES);
  bytes.set(header, at);
  await medium.write([{ at, bytes: header }]);
  await medium.flush();
}

/**
 * Removes the name of a backing file's format that is longer than any format's. Returns true when its length had hidden
 * another extension, so that the list has to be read again.
 */
async function dropInvalidFormat(
  medium: Medium,
  extensions: readonly HeaderExtension[],
  bytes: Uint8Array,
  log: RepairLog,
): Promise<boolean> {
  const format = findExtension(extensions, EXTENSION.backingFormat);
  if (format === undefined || !isTooLongFormat(format)) return false;
  const at = format.offset - EXTENSION_HEADER_BYTES;
  const hidden = nextExtension(bytes, at, format.offset + alignUp(format.data.length, 8));
  if (hidden !== null) await dropUpTo(medium, bytes, at, hidden);
  else await dropExtension(medium, extensions, EXTENSION.backingFormat);
  const reason = `It is ${format.data.length} bytes long; ${MAX_BACKING_FORMAT_BYTES} is the most.`;
  log.dropped.push({ kind: 'header extension', name: extensionName(EXTENSION.backingFormat)!, reason });
  log.count('header-corrected');
  return hidden !== null;
}

/** Removes all extensions of a type from the header. */
export async function dropExtension(
  medium: Medium,
  extensions: readonly HeaderExtension[],
  type: number,
): Promise<void> {
  await medium.write(dropExtensions(extensions, type));
  await medium.flush();
}

/** Removes a snapshot table that cannot be at its place, and limits the number of snapshots. */
async function correctSnapshotFields(medium: Medium, header: Header, log: RepairLog): Promise<void> {
  const { snapshotsOffset: at, snapshotCount: count } = header;
  const isPlaced = !isMisplaced(at, { clusterSize: 2 ** header.clusterBits }) && (count === 0 || at > 0);
  if (isPlaced && count <= MAX_SNAPSHOTS) return;
  const kept = isPlaced ? MAX_SNAPSHOTS : 0;
  if (count > kept) {
    const reason = isPlaced ? `There are more than ${MAX_SNAPSHOTS}.` : `The snapshot table cannot be at ${hex(at)}.`;
    log.dropped.push({ kind: 'snapshot', name: `snapshots ${kept} to ${count - 1}`, reason });
  }
  await changeHeader(medium, (sector) => setSnapshotTable(sector, isPlaced ? at : 0, kept));
  log.count('header-corrected');
}

/** Gives an image whose refcount table cannot be at its place an empty one: at the end of the file, or nowhere. */
async function correctRefcountFields(
  medium: Medium,
  header: Header,
  log: RepairLog,
  use: 'view' | 'repair',
): Promise<void> {
  const clusterSize = 2 ** header.clusterBits;
  const { refcountTableOffset: at, refcountTableClusters: clusters, refcountOrder } = header;
  const tooLong = clusters > MAX_REFCOUNT_TABLE_BYTES / clusterSize;
  const misplaced = at === 0 || isMisplaced(at, { clusterSize }) || at >= medium.size;
  const wrongWidth = refcountOrder > MAX_REFCOUNT_ORDER;
  if (clusters > 0 && !tooLong && !misplaced && !wrongWidth) return;
  const place = use === 'view' ? NOWHERE : alignUp(medium.size, clusterSize);
  await changeHeader(medium, (sector) => {
    setRefcountTable(sector, place, 1);
    if (wrongWidth) setRefcountOrder(sector, USUAL_REFCOUNT_ORDER);
  });
  // The header names the place first: after a power cut `endOfEntries` tells where the file ended.
  if (use === 'repair') await medium.write([{ at: place, bytes: new Uint8Array(clusterSize) }]);
  log.count('header-corrected');
}
