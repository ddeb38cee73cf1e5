/** Owns the reading of what an image says of itself: the header's cluster, and the tables that opening needs. */
import { Qcow2Error } from '../errors.js';
import { type Bitmap, decodeBitmaps } from '../format/bitmaps.js';
import { hex, viewOf } from '../format/bytes.js';
import {
  type BitmapsExtension,
  decodeBitmapsExtension,
  decodeExtensions,
  EXTENSION,
  findExtension,
  type HeaderExtension,
} from '../format/extensions.js';
import type { Geometry } from '../format/geometry.js';
import { AUTOCLEAR, decodeHeader, type Header, MAGIC } from '../format/header.js';
import { IDENTIFY_HEAD_BYTES, IDENTIFY_TAIL_BYTES, identify, isQcow2 } from '../format/identify.js';
import { MAX_CLUSTER_BITS, MAX_SNAPSHOT_TABLE_BYTES, MIN_CLUSTER_BITS } from '../format/limits.js';
import { decodeSnapshots, type Snapshot } from '../format/snapshots.js';
import { validateBitmapsExtension, validateFeatures, validateLayout } from '../format/validate.js';
import type { ByteSource, Transfer } from './device.js';

/** What is read first: the header and, at the usual 64 KiB clusters, all of its cluster. */
const HEAD_BYTES = 64 * 1024;
/** A first guess at the length of a snapshot's entry, generous so that one read suffices. */
const SNAPSHOT_ENTRY_GUESS = 256;

/** The first cluster of an image. */
export interface FirstCluster {
  readonly header: Header;
  readonly extensions: readonly HeaderExtension[];
  /** The cluster itself, as much of it as the file has. */
  readonly bytes: Uint8Array;
}

/** The tables that opening reads. */
export interface Tables {
  readonly l1: DataView;
  readonly snapshots: readonly Snapshot[];
  /** Empty, too, when the image says that its bitmaps are not to be trusted. */
  readonly bitmaps: readonly Bitmap[];
}

/** The snapshot table: its entries, and its length in bytes. */
export interface SnapshotTable {
  readonly snapshots: readonly Snapshot[];
  readonly length: number;
}

/** The format of a file of which nobody says it: qcow2 by its magic, else raw. */
export async function probeFormat(source: ByteSource, signal: AbortSignal | undefined): Promise<'qcow2' | 'raw'> {
  const head = await readBytes(source, 0, Math.min(8, source.size), signal);
  return isQcow2(head) ? 'qcow2' : 'raw';
}

/**
 * Reads the header and its extensions.
 *
 * @throws {@link Qcow2Error} `not-qcow2`, `unsupported`, `corrupt`, and what the source throws.
 */
export async function readHeader(source: ByteSource, signal: AbortSignal | undefined): Promise<FirstCluster> {
  let bytes = await readBytes(source, 0, Math.min(HEAD_BYTES, source.size), signal);
  if (!isQcow2(bytes)) throw await notQcow2(source, bytes, signal);
  const version = viewOf(bytes).getUint32(4);
  if (version > 3) {
    throw new Qcow2Error('unsupported', `This is qcow2 of version ${version}; 2 and 3 are known.`, {
      what: 'version',
      at: 4,
    });
  }
  const clusterBits = bytes.length < 24 ? 0 : viewOf(bytes).getUint32(20);
  const firstCluster = Math.min(source.size, 2 ** Math.min(clusterBits, MAX_CLUSTER_BITS));
  if (clusterBits >= MIN_CLUSTER_BITS && firstCluster > bytes.length) {
    bytes = await readBytes(source, 0, firstCluster, signal);
  }
  const header = decodeHeader(bytes);
  validateLayout(header);
  const end = header.backingFileOffset === 0 ? 2 ** header.clusterBits : header.backingFileOffset;
  const extensions = decodeExtensions(bytes, header.headerLength, end);
  validateFeatures(header, extensions);
  return { header, extensions, bytes };
}

async function notQcow2(source: ByteSource, head: Uint8Array, signal: AbortSignal | undefined): Promise<Qcow2Error> {
  const tail = await readBytes(source, Math.max(0, source.size - IDENTIFY_TAIL_BYTES), IDENTIFY_TAIL_BYTES, signal);
  const found = identify(head.subarray(0, IDENTIFY_HEAD_BYTES), tail);
  const message = found === null ? 'This is no qcow2 image.' : `This is no qcow2 image: it is ${found}.`;
  const magic = head.length < 4 ? null : viewOf(head).getUint32(0);
  return new Qcow2Error('not-qcow2', message, { what: 'magic', at: 0, found, magic, expected: MAGIC });
}

/**
 * Reads the L1 table, the snapshot table and the bitmap directory, in one batch. The header has been validated.
 *
 * @throws {@link Qcow2Error} `unsupported` or `corrupt`, and what the source throws.
 */
export async function readTables(
  source: ByteSource,
  header: Header,
  extensions: readonly HeaderExtension[],
  geometry: Geometry,
  signal: AbortSignal | undefined,
): Promise<Tables> {
  const l1 = new Uint8Array(header.l1Size * 8);
  const guess = Math.min(header.snapshotCount * SNAPSHOT_ENTRY_GUESS, source.size, MAX_SNAPSHOT_TABLE_BYTES);
  const table = new Uint8Array(guess);
  const directory = bitmapDirectory(header, extensions, geometry, source.size);
  const entries = new Uint8Array(directory?.directorySize ?? 0);
  const transfers: Transfer[] = [
    { at: header.l1TableOffset, bytes: l1 },
    { at: header.snapshotsOffset, bytes: table },
    { at: directory?.directoryOffset ?? 0, bytes: entries },
  ].filter(({ bytes }) => bytes.length > 0);
  if (transfers.length > 0) await source.read(transfers, signal);
  return {
    l1: viewOf(l1),
    snapshots: (await snapshotsOf(source, header, table, signal)).snapshots,
    bitmaps: directory === null ? [] : decodeBitmaps(entries, directory.count),
  };
}

/**
 * Where the bitmap directory is; null when there is none, or when the image does not vouch for it.
 *
 * @throws {@link Qcow2Error} `unsupported` or `corrupt`.
 */
export function bitmapDirectory(
  header: Header,
  extensions: readonly HeaderExtension[],
  geometry: Geometry,
  fileSize: number,
): BitmapsExtension | null {
  const extension = findExtension(extensions, EXTENSION.bitmaps);
  if (extension === undefined || !header.autoclearFeatures.includes(AUTOCLEAR.bitmaps)) return null;
  const bitmaps = decodeBitmapsExtension(extension);
  validateBitmapsExtension(bitmaps, extension.offset, geometry, fileSize);
  return bitmaps;
}

/**
 * Reads the snapshot table, and answers its length in bytes too.
 *
 * @throws {@link Qcow2Error} `corrupt`, and what the source throws.
 */
export function readSnapshotTable(
  source: ByteSource,
  header: Header,
  signal: AbortSignal | undefined,
): Promise<SnapshotTable> {
  return snapshotsOf(source, header, new Uint8Array(0), signal);
}

/** The snapshots, from what was read of their table or, when that was too little, from more of it. */
async function snapshotsOf(
  source: ByteSource,
  { snapshotCount, snapshotsOffset }: Header,
  bytes: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<SnapshotTable> {
  const most = Math.min(MAX_SNAPSHOT_TABLE_BYTES, Math.max(0, source.size - snapshotsOffset));
  let table = bytes.subarray(0, Math.min(bytes.length, most));
  for (;;) {
    const decoded = decodeSnapshots(table, snapshotCount);
    if (decoded !== null) return decoded;
    if (table.length >= most) {
      const message = `The snapshot table at ${hex(snapshotsOffset)} runs past the end of the file or past 64 MiB.`;
      throw new Qcow2Error('corrupt', message, { what: 'snapshot table', at: snapshotsOffset });
    }
    table = await readBytes(source, snapshotsOffset, Math.min(most, Math.max(4096, table.length * 4)), signal);
  }
}

async function readBytes(source: ByteSource, at: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
  const bytes = new Uint8Array(Math.max(0, Math.min(length, source.size - at)));
  if (bytes.length > 0) await source.read([{ at, bytes }], signal);
  return bytes;
}
