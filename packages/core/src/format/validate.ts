/**
 * Throws the errors of invalid headers. `unsupported` is valid but beyond a limit; `corrupt` contradicts the
 * specification or the file. The rules are those of `header-rules.ts`; only an invalid header loads this file.
 */
import { Qcow2Error, type Qcow2ErrorCode } from '../errors.js';
import { hex } from './bytes.js';
import { type FeatureName, type HeaderExtension, isKnownFeature } from './extensions.js';
import type { Geometry } from './geometry.js';
import type { Header } from './header.js';
import {
  featureViolation,
  isMisplaced,
  isTooLongFormat,
  l1EndOf,
  layoutViolation,
  maxNameBytes,
  tableViolation,
} from './header-rules.js';
import { MAX_HOST_OFFSET } from './limits.js';

/** What is thrown for a rule that is violated. */
type Failure = () => never;

/**
 * Checks the fields needed to read the extensions: cluster size, header length, and the backing file's name.
 *
 * @throws {@link Qcow2Error} `unsupported` or `corrupt`.
 */
export function validateLayout(header: Header): void {
  const { clusterBits, headerLength, backingFileOffset: nameAt, backingFileSize } = header;
  const max = () => maxNameBytes(2 ** clusterBits, nameAt);
  throwFor(layoutViolation(header), [
    () => fail('corrupt', 'cluster_bits', 20, `is ${clusterBits}; the minimum is 9`),
    () => fail('unsupported', 'cluster_bits', 20, `is ${clusterBits}; the maximum is 21, which is 2 MiB`),
    () => fail('corrupt', 'header_length', 100, `is ${headerLength}, more than a cluster`),
    () => fail('corrupt', 'backing_file_offset', 8, `is ${hex(nameAt)}, outside the first cluster`),
    () => fail('corrupt', 'backing_file_size', 16, `is ${backingFileSize}; the maximum here is ${max()}`),
  ]);
}

/**
 * Checks the feature bits and the fields that depend on them.
 *
 * @throws {@link Qcow2Error} `unsupported` for an unknown incompatible feature, with its name from `names`; `corrupt`
 *   for bits that contradict other fields.
 */
export function validateFeatures(header: Header, names: readonly FeatureName[]): void {
  const { incompatibleFeatures, compressionType: type, clusterBits } = header;
  const unknownNames = () =>
    incompatibleFeatures
      .filter((bit) => !isKnownFeature(0, bit))
      .map((bit) => names.find((name) => name.kind === 0 && name.bit === bit)?.name ?? `bit ${bit}`)
      .join(', ');
  const unknown = 'require features that this library does not support';
  const misplacedBit = 'set "raw external data" in an image without an external data file';
  throwFor(featureViolation(header), [
    () => fail('unsupported', 'incompatible_features', 72, `${unknown}: ${unknownNames()}`),
    () => fail('unsupported', 'compression_type', 104, `is ${type}; 0 (deflate) and 1 (zstd) are supported`),
    () => fail('corrupt', 'compression_type', 104, `is ${type}, which the feature bit 3 contradicts`),
    () => fail('corrupt', 'cluster_bits', 20, `is ${clusterBits}; extended L2 entries need at least 14`),
    () => fail('corrupt', 'autoclear_features', 88, misplacedBit),
  ]);
}

/**
 * Checks the sizes, counts and offsets of the tables in the header.
 *
 * @throws {@link Qcow2Error} `unsupported` or `corrupt`.
 */
export function validateTables(header: Header, geometry: Geometry, fileSize: number): void {
  const { size, cryptMethod, refcountOrder, l1Size, l1TableOffset, snapshotCount } = header;
  const { refcountTableOffset, refcountTableClusters, snapshotsOffset } = header;
  const l1Place = () => `the L1 table (${hex(l1TableOffset)} to ${hex(l1EndOf(header))})`;
  const pastEnd = () =>
    `lies past the end of the file: ${l1Place()} and the file ends at ${hex(fileSize)}; it may be cut short`;
  const manyEntries = `is ${l1Size} entries; the maximum of QEMU and this library is 4,194,304`;
  throwFor(tableViolation(header, geometry, fileSize), [
    () => fail('unsupported', 'size', 24, 'is 2^53 bytes or more'),
    () => fail('unsupported', 'crypt_method', 32, `is ${cryptMethod}, which is unknown`),
    () => fail('corrupt', 'refcount_order', 96, `is ${refcountOrder}; the maximum is 6, which is 64 bits`),
    () => fail('unsupported', 'l1_size', 36, manyEntries),
    () => failMisplaced('l1_table_offset', 40, l1TableOffset),
    () => fail('corrupt', 'l1_size', 36, `is ${l1Size}, too few entries for a disk of ${size} bytes`),
    () => fail('corrupt', 'L1 table', l1TableOffset, pastEnd()),
    () => fail('corrupt', 'refcount_table_clusters', 56, 'is 0: there is no refcount table'),
    () => fail('unsupported', 'refcount_table_clusters', 56, `is ${refcountTableClusters}; the maximum is 8 MiB`),
    () => failMisplaced('refcount_table_offset', 48, refcountTableOffset),
    () => fail('unsupported', 'nb_snapshots', 60, `is ${snapshotCount}; the maximum is 65,536`),
    () => failMisplaced('snapshots_offset', 64, snapshotsOffset),
  ]);
}

function throwFor(violation: number, failures: readonly Failure[]): void {
  failures[violation]?.();
}

/**
 * Checks the backing file format extension, if there is one.
 *
 * @throws {@link Qcow2Error} `corrupt` when the name is longer than QEMU allows.
 */
export function validateBackingFormat(extension: HeaderExtension | undefined): void {
  if (extension === undefined || !isTooLongFormat(extension)) return;
  fail('corrupt', 'backing format name', extension.offset, `is ${extension.data.length} bytes long; the maximum is 15`);
}

/**
 * Refuses a host offset that is out of range or not cluster-aligned.
 *
 * @throws {@link Qcow2Error} `unsupported` or `corrupt`.
 */
export function aligned(what: string, at: number, offset: number, geometry: Geometry): void {
  if (isMisplaced(offset, geometry)) failMisplaced(what, at, offset);
}

function failMisplaced(what: string, at: number, offset: number): never {
  if (offset >= MAX_HOST_OFFSET) fail('corrupt', what, at, 'is 2^56 or more, past the largest host offset');
  if (!Number.isSafeInteger(offset)) fail('unsupported', what, at, 'is 2^53 or more');
  fail('corrupt', what, at, `is ${hex(offset)}, no multiple of the cluster size`);
}

/**
 * Throws the error of an invalid header field.
 *
 * @throws {@link Qcow2Error} always.
 */
export function fail(code: Qcow2ErrorCode, what: string, at: number, finding: string): never {
  throw new Qcow2Error(code, `${what} in the header ${finding}.`, { what, at });
}
