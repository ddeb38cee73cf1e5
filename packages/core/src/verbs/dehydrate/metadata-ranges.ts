/** Finds out which bytes of an image file are metadata: those that a check and opening the image need. */

import type { ByteSource } from '../../api/device.js';
import type { OperationOptions } from '../../api/options.js';
import { yieldToEventLoop } from '../../engine/async/yield-to-event-loop.js';
import { bitmapDirectory } from '../../engine/layer/bitmap-directory.js';
import { type FirstCluster, geometryIn, readHeader } from '../../engine/layer/metadata.js';
import { readBytes } from '../../engine/layer/read-bytes.js';
import { readSnapshotTable } from '../../engine/layer/snapshot-table.js';
import { decodeBitmapTableEntry } from '../../format/bitmap-table.js';
import { type Bitmap, decodeBitmaps } from '../../format/bitmaps.js';
import { alignUp, viewOf } from '../../format/bytes.js';
import { CRYPTO_POINTER_BYTES, cryptoHeaderPlace } from '../../format/crypto-header.js';
import { EXTENSION, EXTENSION_HEADER_BYTES, findExtension } from '../../format/extensions.js';
import type { Geometry } from '../../format/geometry.js';
import { CRYPT_METHOD, diskSizeOf } from '../../format/header.js';
import { MAX_BITMAP_DATA_BYTES } from '../../format/limits.js';
import { isLuks, LUKS_HEADER_BYTES, luksPayloadOffset } from '../../format/luks.js';
import { SNAPSHOT_HEADER_BYTES, snapshotEntryLength } from '../../format/snapshots.js';
import { checkSource } from '../check/check.js';
import { NamePlaces } from './name-places.js';
import { NotingSource } from './noting-source.js';
import { RangeSet } from './range-set.js';

/** Bytes of a bitmap's table that are read in one batch. */
const BATCH_BYTES = 4 * 1024 * 1024;

/** The metadata of an image file. */
export interface Metadata {
  readonly fileSize: number;
  readonly ranges: RangeSet;
  readonly names: NamePlaces;
}

/**
 * Checks the image in `source`, and notes what the check reads; then adds what opening the image reads. The header and
 * the snapshot table are read beyond their ends, so their own bytes are added.
 *
 * @throws as {@link checkSource} and `readTables` do; the signal's reason when it aborts.
 */
export async function metadataOf(source: ByteSource, options: OperationOptions): Promise<Metadata> {
  const metadata: Metadata = { fileSize: source.size, ranges: new RangeSet(), names: new NamePlaces() };
  const noted = new NotingSource(source, metadata.ranges);
  const first = await readHeader(source, options.signal);
  const geometry = await geometryIn(first, source.size);
  const { l1TableOffset, l1Size } = first.header;
  addHeader(metadata, first);
  add(metadata, l1TableOffset, l1Size * 8);
  const { report } = await checkSource(noted, { ...options, ahead: source });
  await addSnapshots(metadata, source, first, options.signal);
  const bitmaps = await addDirectory(metadata, noted, first, geometry, options.signal);
  // A damaged pointer may lead into guest data, and no check needs the bits.
  if (report.corruptions + report.extra === 0) {
    for (const bitmap of bitmaps) await addBits(metadata, noted, bitmap, first, geometry, options.signal);
  }
  await addLuksHeader(metadata, source, first, options.signal);
  metadata.names.sort();
  return metadata;
}

function add({ ranges, fileSize }: Metadata, at: number, length: number): void {
  ranges.add(at, Math.min(at + length, fileSize));
}

/** The header, its extensions up to the end marker, and the name of the backing file. */
function addHeader(metadata: Metadata, first: FirstCluster): void {
  const { headerLength, backingFileOffset, backingFileSize, clusterBits } = first.header;
  const last = first.extensions.at(-1);
  const extensionsEnd = last === undefined ? headerLength : last.offset + alignUp(last.data.length, 8);
  const area = backingFileOffset === 0 ? 2 ** clusterBits : backingFileOffset;
  add(metadata, 0, Math.max(headerLength, Math.min(area, extensionsEnd + EXTENSION_HEADER_BYTES)));
  if (backingFileOffset !== 0) add(metadata, backingFileOffset, backingFileSize);
  metadata.names.addHeader(first);
}

/** The entries of the snapshot table, without what stands between them. */
async function addSnapshots(
  metadata: Metadata,
  source: ByteSource,
  { header }: FirstCluster,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { snapshots } = await readSnapshotTable(source, header, signal);
  let at = header.snapshotsOffset;
  for (const snapshot of snapshots) {
    const { extra, id, name } = snapshot;
    add(metadata, at, SNAPSHOT_HEADER_BYTES + extra.length + id.length + name.length);
    at += snapshotEntryLength(snapshot);
  }
  metadata.names.addSnapshots(snapshots, header.snapshotsOffset);
}

/** Reads the bitmap directory, which adds it; returns its bitmaps. */
async function addDirectory(
  metadata: Metadata,
  noted: NotingSource,
  { header, extensions }: FirstCluster,
  geometry: Geometry,
  signal: AbortSignal | undefined,
): Promise<readonly Bitmap[]> {
  const directory = bitmapDirectory(header, extensions, geometry, noted.size);
  if (directory === null) return [];
  const { count, directoryOffset, directorySize } = directory;
  const bitmaps = decodeBitmaps(await readBytes(noted, directoryOffset, directorySize, signal), count, directoryOffset);
  metadata.names.addBitmaps(bitmaps, directoryOffset);
  return bitmaps;
}

/** The bits of a bitmap, up to that of the last byte of the disk. Its table is read again, so that it is added. */
async function addBits(
  metadata: Metadata,
  noted: NotingSource,
  { tableOffset, tableSize, granularityBits }: Bitmap,
  { header }: FirstCluster,
  { clusterSize }: Geometry,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (tableSize * clusterSize > MAX_BITMAP_DATA_BYTES) return;
  const bytes = Math.ceil(Math.ceil(diskSizeOf(header) / 2 ** granularityBits) / 8);
  const entries = Math.min(tableSize, Math.ceil(bytes / clusterSize));
  const yieldIfDue = yieldToEventLoop();
  for (let first = 0; first < entries; first += BATCH_BYTES / 8) {
    await yieldIfDue();
    signal?.throwIfAborted();
    const length = Math.min(BATCH_BYTES, (entries - first) * 8);
    const table = viewOf(await readBytes(noted, tableOffset + first * 8, length, signal));
    for (let index = 0; index * 8 + 8 <= table.byteLength; index++) {
      const entry = decodeBitmapTableEntry(table, index, clusterSize);
      if (typeof entry === 'string' || 'fault' in entry) continue;
      add(metadata, entry.offset, Math.min(clusterSize, bytes - (first + index) * clusterSize));
    }
  }
}

/**
 * The fields of a LUKS header. The key material behind them is left out, also where a damaged pointer leads to it. It
 * ends where LUKS and the image say so both: a damaged length must not leave out the tables of the image.
 */
async function addLuksHeader(
  metadata: Metadata,
  source: ByteSource,
  { header, extensions }: FirstCluster,
  signal: AbortSignal | undefined,
): Promise<void> {
  const pointer = findExtension(extensions, EXTENSION.cryptoHeader);
  if (header.cryptMethod !== CRYPT_METHOD.luks || pointer?.data.length !== CRYPTO_POINTER_BYTES) return;
  const { at, length } = cryptoHeaderPlace(pointer);
  const luks = await readBytes(source, at, LUKS_HEADER_BYTES, signal);
  if (!isLuks(luks)) return;
  add(metadata, at, Math.min(length, LUKS_HEADER_BYTES));
  metadata.ranges.leaveOut(at + LUKS_HEADER_BYTES, at + Math.min(length, luksPayloadOffset(luks)));
}
