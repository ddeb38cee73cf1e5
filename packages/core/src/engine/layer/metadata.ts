/** Reads the metadata that opening an image needs: the header's cluster, and the tables. */

import type { ByteSource, Transfer } from '../../api/device.js';
import { Qcow2Error } from '../../errors.js';
import type { Bitmap } from '../../format/bitmaps.js';
import { viewOf } from '../../format/bytes.js';
import {
  decodeExtensions,
  EXTENSION,
  type FeatureName,
  findExtension,
  type HeaderExtension,
  isKnownFeature,
} from '../../format/extensions.js';
import { type Geometry, geometryOfHeader } from '../../format/geometry.js';
import { AUTOCLEAR, decodeHeader, type Header, isQcow2 } from '../../format/header.js';
import { featureViolation, isTooLongFormat, layoutViolation, tableViolation } from '../../format/header-rules.js';
import { MAX_CLUSTER_BITS, MAX_SNAPSHOT_TABLE_BYTES, MIN_CLUSTER_BITS } from '../../format/limits.js';
import type { Snapshot } from '../../format/snapshots.js';
import { readBytes } from './read-bytes.js';

/** What is read first: the header and, at the usual 64 KiB clusters, all of its cluster. */
const HEAD_BYTES = 64 * 1024;
/** A first guess at the length of a snapshot's entry, generous so that one read suffices. */
const SNAPSHOT_ENTRY_GUESS = 256;

/** The first cluster of an image. */
export interface FirstCluster {
  readonly header: Header;
  readonly extensions: readonly HeaderExtension[];
  /** What the image calls its features; read only where this library does not know one of them. */
  readonly featureNames: readonly FeatureName[];
  /** The cluster itself, as much of it as the file has. */
  readonly bytes: Uint8Array;
}

/** The tables that opening reads. */
export interface Tables {
  readonly l1: DataView;
  readonly snapshots: readonly Snapshot[];
  /** Also empty when the cleared autoclear bit makes the bitmaps invalid. */
  readonly bitmaps: readonly Bitmap[];
}

/**
 * Reads the first cluster, as much of it as the file has.
 *
 * @throws {@link Qcow2Error} `not-qcow2`, `unsupported` for another version, and what the source throws.
 */
export async function readFirstCluster(source: ByteSource, signal: AbortSignal | undefined): Promise<Uint8Array> {
  const bytes = await readBytes(source, 0, Math.min(HEAD_BYTES, source.size), signal);
  if (!isQcow2(bytes)) {
    const failure = await import('./not-qcow2.js');
    throw await failure.notQcow2(source, bytes, signal);
  }
  const version = viewOf(bytes).getUint32(4);
  if (version > 3) {
    throw new Qcow2Error('unsupported', `The qcow2 version is ${version}; 2 and 3 are supported.`, {
      what: 'version',
      at: 4,
    });
  }
  const clusterBits = bytes.length < 24 ? 0 : viewOf(bytes).getUint32(20);
  const firstCluster = Math.min(source.size, 2 ** Math.min(clusterBits, MAX_CLUSTER_BITS));
  const isLonger = clusterBits >= MIN_CLUSTER_BITS && firstCluster > bytes.length;
  return isLonger ? readBytes(source, 0, firstCluster, signal) : bytes;
}

/** The end of the area of header extensions: the backing file's name, or the end of the first cluster. */
export function extensionsEnd({ backingFileOffset, clusterBits }: Header): number {
  return backingFileOffset === 0 ? 2 ** clusterBits : backingFileOffset;
}

/**
 * Reads the header and its extensions.
 *
 * @throws {@link Qcow2Error} `not-qcow2`, `unsupported`, `corrupt`, and what the source throws.
 */
export async function readHeader(source: ByteSource, signal: AbortSignal | undefined): Promise<FirstCluster> {
  const bytes = await readFirstCluster(source, signal);
  const header = decodeHeader(bytes);
  if (layoutViolation(header) >= 0) (await failures()).validateLayout(header);
  const extensions = decodeExtensions(bytes, header.headerLength, extensionsEnd(header));
  const featureNames = await featureNamesOf(header, extensions);
  if (featureViolation(header) >= 0) (await failures()).validateFeatures(header, featureNames);
  return { header, extensions, featureNames, bytes };
}

/** The errors of invalid headers, which a reader of valid images does not load. */
const failures = () => import('../../format/validate.js');

async function featureNamesOf(
  { incompatibleFeatures, compatibleFeatures, autoclearFeatures }: Header,
  extensions: readonly HeaderExtension[],
): Promise<readonly FeatureName[]> {
  const table = findExtension(extensions, EXTENSION.featureNames);
  const fields = [incompatibleFeatures, compatibleFeatures, autoclearFeatures];
  const areKnown = fields.every((bits, kind) => bits.every((bit) => isKnownFeature(kind, bit)));
  if (table === undefined || areKnown) return [];
  const tables = await import('./optional-tables.js');
  return tables.decodeFeatureNames(table.data);
}

/**
 * The geometry of an image, whose file has `fileSize` bytes.
 *
 * @throws {@link Qcow2Error} `unsupported` or `corrupt` when the header says what no table can be.
 */
export async function geometryIn(
  { header, extensions }: Pick<FirstCluster, 'header' | 'extensions'>,
  fileSize: number,
): Promise<Geometry> {
  const geometry = geometryOfHeader(header);
  const format = findExtension(extensions, EXTENSION.backingFormat);
  if (tableViolation(header, geometry, fileSize) >= 0) (await failures()).validateTables(header, geometry, fileSize);
  if (isTooLongFormat(format)) (await failures()).validateBackingFormat(format);
  return geometry;
}

/**
 * Reads the L1 table, the snapshot table and the bitmap directory, in one batch. The header has been validated. What
 * decodes the last two is loaded only where there are any.
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
  const valid = header.autoclearFeatures.includes(AUTOCLEAR.bitmaps);
  const extension = valid ? findExtension(extensions, EXTENSION.bitmaps) : undefined;
  const marking = extension === undefined ? null : await import('./optional-tables.js');
  const directory = marking?.bitmapDirectory(header, extensions, geometry, source.size) ?? null;
  const entries = new Uint8Array(directory?.directorySize ?? 0);
  const transfers: Transfer[] = [
    { at: header.l1TableOffset, bytes: l1 },
    { at: header.snapshotsOffset, bytes: table },
    { at: directory?.directoryOffset ?? 0, bytes: entries },
  ].filter(({ bytes }) => bytes.length > 0);
  if (transfers.length > 0) await source.read(transfers, signal);
  return {
    l1: viewOf(l1),
    snapshots: await snapshotsOf(source, header, table, signal),
    bitmaps: directory === null ? [] : marking!.decodeBitmaps(entries, directory.count, directory.directoryOffset),
  };
}

/** The snapshots, from what was read of their table. */
async function snapshotsOf(
  source: ByteSource,
  header: Header,
  bytes: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<readonly Snapshot[]> {
  if (header.snapshotCount === 0) return [];
  const tables = await import('./optional-tables.js');
  return (await tables.continueSnapshotTable(source, header, bytes, signal)).snapshots;
}
