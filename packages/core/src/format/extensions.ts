/**
 * Owns the header extensions: the list that follows the header, and what the known ones hold (spec: "Header
 * extensions").
 */
import { Qcow2Error } from '../errors.js';
import { alignUp, viewOf } from './bytes.js';
import { AUTOCLEAR, COMPATIBLE, INCOMPATIBLE } from './header.js';

/** The types this library knows. 0 ends the list. */
export const EXTENSION = {
  backingFormat: 0xe2792aca,
  featureNames: 0x6803f857,
  bitmaps: 0x23852875,
  cryptoHeader: 0x0537be77,
  dataFile: 0x44415441,
} as const;

const NAMES: ReadonlyMap<number, string> = new Map([
  [EXTENSION.backingFormat, 'Backing file format name'],
  [EXTENSION.featureNames, 'Feature name table'],
  [EXTENSION.bitmaps, 'Bitmaps extension'],
  [EXTENSION.cryptoHeader, 'Full disk encryption header pointer'],
  [EXTENSION.dataFile, 'External data file name'],
]);

/** Type and length of an extension, before its data. */
export const EXTENSION_HEADER_BYTES = 8;
/** One extension, known or not, with its data as they stand in the file. */
export interface HeaderExtension {
  readonly type: number;
  /** Offset of the data in the file, bytes. */
  readonly offset: number;
  readonly data: Uint8Array;
}

/** A feature bit that the image itself names. `kind` is 0 for incompatible, 1 for compatible, 2 for autoclear. */
export interface FeatureName {
  readonly kind: number;
  readonly bit: number;
  readonly name: string;
}

/** The features this library knows, by the names that QEMU writes into its images. */
export const KNOWN_FEATURES: readonly FeatureName[] = [
  { kind: 0, bit: INCOMPATIBLE.dirty, name: 'dirty bit' },
  { kind: 0, bit: INCOMPATIBLE.corrupt, name: 'corrupt bit' },
  { kind: 0, bit: INCOMPATIBLE.dataFile, name: 'external data file' },
  { kind: 0, bit: INCOMPATIBLE.compressionType, name: 'compression type' },
  { kind: 0, bit: INCOMPATIBLE.extendedL2, name: 'extended L2 entries' },
  { kind: 1, bit: COMPATIBLE.lazyRefcounts, name: 'lazy refcounts' },
  { kind: 2, bit: AUTOCLEAR.bitmaps, name: 'bitmaps' },
  { kind: 2, bit: AUTOCLEAR.rawDataFile, name: 'raw external data' },
];

/** The specification's name of an extension type, if it is known. */
export function extensionName(type: number): string | undefined {
  return NAMES.get(type);
}

/**
 * The extensions in `bytes` from `start` on; the list ends at its end marker or at `end`. `bytes` begin at the file's
 * start; past their end the file reads as zeros, so there the list ends too.
 *
 * @throws {@link Qcow2Error} `corrupt` when an extension runs past the end of the area.
 */
export function decodeExtensions(bytes: Uint8Array, start: number, end: number): HeaderExtension[] {
  const view = viewOf(bytes);
  const extensions: HeaderExtension[] = [];
  let at = start;
  while (at < end && at + EXTENSION_HEADER_BYTES <= bytes.length) {
    const type = view.getUint32(at);
    const length = view.getUint32(at + 4);
    const offset = at + EXTENSION_HEADER_BYTES;
    if (offset > end || length > end - offset) {
      throw new Qcow2Error('corrupt', `The header extension at ${at} is ${length} bytes long and runs past its area.`, {
        what: 'header extension',
        at,
        type,
        length,
      });
    }
    if (type === 0) break;
    const data = new Uint8Array(length);
    data.set(bytes.subarray(offset, offset + length));
    extensions.push({ type, offset, data });
    at = offset + alignUp(length, 8);
  }
  return extensions;
}

/** The extension of a type; of duplicates the last counts, as in QEMU. */
export function findExtension(extensions: readonly HeaderExtension[], type: number): HeaderExtension | undefined {
  return extensions.findLast((extension) => extension.type === type);
}

/** Whether this library knows the feature of a bit; `kind` as in {@link FeatureName}. */
export function isKnownFeature(kind: number, bit: number): boolean {
  return KNOWN_FEATURES.some((feature) => feature.kind === kind && feature.bit === bit);
}
