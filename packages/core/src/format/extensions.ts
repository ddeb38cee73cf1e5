/**
 * Decodes the list of header extensions that follows the header, and names the known types and features (spec: "Header
 * extensions").
 */
import { Qcow2Error } from '../errors.js';
import { alignUp, viewOf } from './bytes.js';
import { AUTOCLEAR, COMPATIBLE, INCOMPATIBLE } from './header.js';

/** The known extension types. 0 ends the list. */
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

/** Length of the type and length fields before an extension's data, bytes. */
export const EXTENSION_HEADER_BYTES = 8;
/** One extension, known or not, with its raw data. */
export interface HeaderExtension {
  readonly type: number;
  /** Offset of the data in the file, bytes. */
  readonly offset: number;
  readonly data: Uint8Array;
}

/**
 * An entry of the feature name table: the name of a feature bit. `kind` is 0 for incompatible, 1 for compatible, 2 for
 * autoclear.
 */
export interface FeatureName {
  readonly kind: number;
  readonly bit: number;
  readonly name: string;
}

/** The known features, with the names that QEMU writes into images. */
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

/** Returns the specification's name of an extension type, undefined when it is not known. */
export function extensionName(type: number): string | undefined {
  return NAMES.get(type);
}

/**
 * Decodes the extensions in `bytes` from `start` on, up to the end marker or `end`. `bytes` begin at offset 0 of the
 * file. The list also ends at the end of `bytes`: past it the file reads as zeros, which is an end marker.
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

/** Returns the extension of a type. If there are duplicates, the last one, as in QEMU. */
export function findExtension(extensions: readonly HeaderExtension[], type: number): HeaderExtension | undefined {
  return extensions.findLast((extension) => extension.type === type);
}

/** True if the feature of a bit is known; `kind` as in {@link FeatureName}. */
export function isKnownFeature(kind: number, bit: number): boolean {
  return KNOWN_FEATURES.some((feature) => feature.kind === kind && feature.bit === bit);
}
