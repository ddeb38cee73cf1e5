/** Corrects the header, so that an image can be opened and checked if its fields and active L1 table are valid. */
import { extensionsEnd, readFirstCluster } from '../../engine/layer/metadata.js';
import { isQcow2Error } from '../../errors.js';
import { alignUp, hex, viewOf } from '../../format/bytes.js';
import { dropExtensions } from '../../format/encode-extensions.js';
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
  MAX_REFCOUNT_ORDER,
  MAX_REFCOUNT_TABLE_BYTES,
  MAX_SNAPSHOTS,
} from '../../format/limits.js';
import { validateLayout } from '../../format/validate.js';
import { changeHeader } from './header-sector.js';
import type { Medium } from './medium.js';
import type { RepairLog } from './repair-log.js';

/** The width of refcounts when the header's is invalid: 16 bits, as version 2 has. */
const USUAL_REFCOUNT_ORDER = 4;

/**
 * Corrects the fields and the extensions of the header, where they are what prevents opening.
 *
 * @throws {@link Qcow2Error} when other fields are invalid; what the medium throws; the signal's reason.
 */
export async function correctHeader(medium: Medium, log: RepairLog, signal: AbortSignal | undefined): Promise<void> {
  const bytes = await readFirstCluster(medium, signal);
  const header = decodeHeader(bytes);
  validateLayout(header);
  const extensions = await readableExtensions(medium, header, bytes, log);
  await dropInvalidFormat(medium, extensions, log);
  await correctRefcountFields(medium, header, log);
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

/** The extensions up to the first that overhangs; that one becomes the end of the list. */
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
    const type = viewOf(bytes).getUint32(at);
    const name = extensionName(type) ?? `type 0x${type.toString(16)}`;
    log.dropped.push({ kind: 'header extension', name, reason: error.message });
    log.count('header-corrected');
    // The list may end where its area ends, without a marker.
    const marker = new Uint8Array(Math.min(EXTENSION_HEADER_BYTES, end - at));
    bytes.set(marker, at);
    await medium.write([{ at, bytes: marker }]);
    await medium.flush();
    return decodeExtensions(bytes, header.headerLength, end);
  }
}

/** Removes the name of a backing file's format that is longer than any format's. */
async function dropInvalidFormat(
  medium: Medium,
  extensions: readonly HeaderExtension[],
  log: RepairLog,
): Promise<void> {
  const format = findExtension(extensions, EXTENSION.backingFormat);
  if (format === undefined || !isTooLongFormat(format)) return;
  await dropExtension(medium, extensions, EXTENSION.backingFormat);
  const reason = `It is ${format.data.length} bytes long; ${MAX_BACKING_FORMAT_BYTES} is the most.`;
  log.dropped.push({ kind: 'header extension', name: extensionName(EXTENSION.backingFormat)!, reason });
  log.count('header-corrected');
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

/** Gives an image whose refcount table cannot be at its place an empty one at the end of the file. */
async function correctRefcountFields(medium: Medium, header: Header, log: RepairLog): Promise<void> {
  const clusterSize = 2 ** header.clusterBits;
  const { refcountTableOffset: at, refcountTableClusters: clusters, refcountOrder } = header;
  const tooLong = clusters > MAX_REFCOUNT_TABLE_BYTES / clusterSize;
  const misplaced = at === 0 || isMisplaced(at, { clusterSize }) || at >= medium.size;
  const wrongWidth = refcountOrder > MAX_REFCOUNT_ORDER;
  if (clusters > 0 && !tooLong && !misplaced && !wrongWidth) return;
  const place = alignUp(medium.size, clusterSize);
  await medium.write([{ at: place, bytes: new Uint8Array(clusterSize) }]);
  await changeHeader(medium, (sector) => {
    setRefcountTable(sector, place, 1);
    if (wrongWidth) setRefcountOrder(sector, USUAL_REFCOUNT_ORDER);
  });
  log.count('header-corrected');
}
