/**
 * Checks a header against QEMU's limits and the file's length, before memory is allocated for its tables. `unsupported`
 * is valid but beyond a limit; `corrupt` contradicts the specification or the file.
 */
import { Qcow2Error, type Qcow2ErrorCode } from '../errors.js';
import { hex } from './bytes.js';
import { type FeatureName, type HeaderExtension, isKnownFeature } from './extensions.js';
import { type Geometry, l1EntriesFor } from './geometry.js';
import { AUTOCLEAR, COMPRESSION_TYPE, CRYPT_METHOD, type Header, INCOMPATIBLE } from './header.js';
import {
  MAX_BACKING_FORMAT_BYTES,
  MAX_BACKING_NAME_BYTES,
  MAX_CLUSTER_BITS,
  MAX_HOST_OFFSET,
  MAX_L1_BYTES,
  MAX_REFCOUNT_ORDER,
  MAX_REFCOUNT_TABLE_BYTES,
  MAX_SNAPSHOTS,
  MIN_CLUSTER_BITS,
  MIN_EXTENDED_CLUSTER_BITS,
} from './limits.js';

/** Length of an L1 or refcount table entry, bytes. */
const ENTRY_BYTES = 8;

/**
 * Checks the fields needed to read the extensions: cluster size, header length, and the backing file's name.
 *
 * @throws {@link Qcow2Error} `unsupported` or `corrupt`.
 */
export function validateLayout(header: Header): void {
  const { clusterBits, headerLength, backingFileOffset, backingFileSize } = header;
  if (clusterBits < MIN_CLUSTER_BITS) fail('corrupt', 'cluster_bits', 20, `is ${clusterBits}; the minimum is 9`);
  if (clusterBits > MAX_CLUSTER_BITS) {
    fail('unsupported', 'cluster_bits', 20, `is ${clusterBits}; the maximum is 21, which is 2 MiB`);
  }
  const clusterSize = 2 ** clusterBits;
  if (headerLength > clusterSize) fail('corrupt', 'header_length', 100, `is ${headerLength}, more than a cluster`);
  if (backingFileOffset === 0) return;
  if (backingFileOffset > clusterSize) {
    fail('corrupt', 'backing_file_offset', 8, `is ${hex(backingFileOffset)}, outside the first cluster`);
  }
  const max = Math.min(MAX_BACKING_NAME_BYTES, clusterSize - backingFileOffset);
  if (backingFileSize > max) {
    fail('corrupt', 'backing_file_size', 16, `is ${backingFileSize}; the maximum here is ${max}`);
  }
}

/**
 * Checks the feature bits and the fields that depend on them.
 *
 * @throws {@link Qcow2Error} `unsupported` for an unknown incompatible feature, with its name from `names`; `corrupt`
 *   for bits that contradict other fields.
 */
export function validateFeatures(header: Header, names: readonly FeatureName[]): void {
  const { incompatibleFeatures, autoclearFeatures, compressionType, clusterBits } = header;
  const unknown = incompatibleFeatures.filter((bit) => !isKnownFeature(0, bit));
  if (unknown.length > 0) {
    const unknownNames = unknown.map(
      (bit) => names.find((name) => name.kind === 0 && name.bit === bit)?.name ?? `bit ${bit}`,
    );
    fail(
      'unsupported',
      'incompatible_features',
      72,
      `require features that this library does not support: ${unknownNames.join(', ')}`,
    );
  }
  if (compressionType > COMPRESSION_TYPE.zstd) {
    fail('unsupported', 'compression_type', 104, `is ${compressionType}; 0 (deflate) and 1 (zstd) are supported`);
  }
  const flagged = incompatibleFeatures.includes(INCOMPATIBLE.compressionType);
  if (flagged !== (compressionType !== COMPRESSION_TYPE.zlib)) {
    fail('corrupt', 'compression_type', 104, `is ${compressionType}, which the feature bit 3 contradicts`);
  }
  if (incompatibleFeatures.includes(INCOMPATIBLE.extendedL2) && clusterBits < MIN_EXTENDED_CLUSTER_BITS) {
    fail('corrupt', 'cluster_bits', 20, `is ${clusterBits}; extended L2 entries need at least 14`);
  }
  if (autoclearFeatures.includes(AUTOCLEAR.rawDataFile) && !incompatibleFeatures.includes(INCOMPATIBLE.dataFile)) {
    fail('corrupt', 'autoclear_features', 88, 'set "raw external data" in an image without an external data file');
  }
}

/**
 * Checks the sizes, counts and offsets of the tables in the header.
 *
 * @throws {@link Qcow2Error} `unsupported` or `corrupt`.
 */
export function validateTables(header: Header, geometry: Geometry, fileSize: number): void {
  const { size, cryptMethod, refcountOrder, l1Size, l1TableOffset, snapshotCount } = header;
  if (!Number.isSafeInteger(size)) fail('unsupported', 'size', 24, 'is 2^53 bytes or more');
  if (cryptMethod > CRYPT_METHOD.luks) fail('unsupported', 'crypt_method', 32, `is ${cryptMethod}, which is unknown`);
  if (refcountOrder > MAX_REFCOUNT_ORDER) {
    fail('corrupt', 'refcount_order', 96, `is ${refcountOrder}; the maximum is 6, which is 64 bits`);
  }
  if (l1Size > MAX_L1_BYTES / ENTRY_BYTES) {
    fail('unsupported', 'l1_size', 36, `is ${l1Size} entries; the maximum of QEMU and this library is 4,194,304`);
  }
  aligned('l1_table_offset', 40, l1TableOffset, geometry);
  if (l1Size < l1EntriesFor(geometry, size)) {
    fail('corrupt', 'l1_size', 36, `is ${l1Size}, too few entries for a disk of ${size} bytes`);
  }
  const l1End = l1TableOffset + l1Size * ENTRY_BYTES;
  if (l1End > fileSize && l1Size > 0) {
    const where = `the L1 table (${hex(l1TableOffset)} to ${hex(l1End)})`;
    fail(
      'corrupt',
      'L1 table',
      l1TableOffset,
      `lies past the end of the file: ${where} and the file ends at ${hex(fileSize)}; it may be cut short`,
    );
  }
  const { refcountTableOffset, refcountTableClusters, snapshotsOffset } = header;
  if (refcountTableClusters === 0) fail('corrupt', 'refcount_table_clusters', 56, 'is 0: there is no refcount table');
  if (refcountTableClusters > MAX_REFCOUNT_TABLE_BYTES / geometry.clusterSize) {
    fail('unsupported', 'refcount_table_clusters', 56, `is ${refcountTableClusters}; the maximum is 8 MiB`);
  }
  aligned('refcount_table_offset', 48, refcountTableOffset, geometry);
  if (snapshotCount > MAX_SNAPSHOTS)
    fail('unsupported', 'nb_snapshots', 60, `is ${snapshotCount}; the maximum is 65,536`);
  aligned('snapshots_offset', 64, snapshotsOffset, geometry);
}

/**
 * Checks the backing file format extension, if there is one.
 *
 * @throws {@link Qcow2Error} `corrupt` when the name is longer than QEMU allows.
 */
export function validateBackingFormat(extension: HeaderExtension | undefined): void {
  if (extension === undefined || extension.data.length <= MAX_BACKING_FORMAT_BYTES) return;
  fail('corrupt', 'backing format name', extension.offset, `is ${extension.data.length} bytes long; the maximum is 15`);
}

/**
 * Refuses a host offset that is out of range or not cluster-aligned.
 *
 * @throws {@link Qcow2Error} `unsupported` or `corrupt`.
 */
export function aligned(what: string, at: number, offset: number, { clusterSize }: Geometry): void {
  if (offset >= MAX_HOST_OFFSET) fail('corrupt', what, at, 'is 2^56 or more, past the largest host offset');
  if (!Number.isSafeInteger(offset)) fail('unsupported', what, at, 'is 2^53 or more');
  if (offset % clusterSize !== 0) fail('corrupt', what, at, `is ${hex(offset)}, no multiple of the cluster size`);
}

/**
 * Throws the error of an invalid header field.
 *
 * @throws {@link Qcow2Error} always.
 */
export function fail(code: Qcow2ErrorCode, what: string, at: number, finding: string): never {
  throw new Qcow2Error(code, `${what} in the header ${finding}.`, { what, at });
}
