/** Owns the header extensions: the list that follows the header, and what the known ones hold (spec: "Header extensions"). */
import { Qcow2Error } from '../errors.js';
import { alignUp, decodeName, encodeName, getUint64, setUint64, viewOf } from './bytes.js';
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
const EXTENSION_HEADER_BYTES = 8;
/** A feature name: its kind, its bit, and 46 bytes of text. */
const FEATURE_NAME_BYTES = 48;

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

/** Where the bitmap directory is; offsets and sizes in bytes. */
export interface BitmapsExtension {
  readonly count: number;
  readonly directorySize: number;
  readonly directoryOffset: number;
}

/** The specification's name of an extension type, or null. */
export function extensionName(type: number): string | null {
  return NAMES.get(type) ?? null;
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

/** The bytes of a list of extensions, its end marker included. Offsets are not looked at. */
export function encodeExtensions(extensions: readonly Omit<HeaderExtension, 'offset'>[]): Uint8Array<ArrayBuffer> {
  const length = extensions.reduce((sum, { data }) => sum + EXTENSION_HEADER_BYTES + alignUp(data.length, 8), 8);
  const bytes = new Uint8Array(length);
  const view = viewOf(bytes);
  let at = 0;
  for (const { type, data } of extensions) {
    view.setUint32(at, type);
    view.setUint32(at + 4, data.length);
    bytes.set(data, at + EXTENSION_HEADER_BYTES);
    at += EXTENSION_HEADER_BYTES + alignUp(data.length, 8);
  }
  return bytes;
}

/** The extension of a type; of duplicates the last counts, as in QEMU. */
export function findExtension(extensions: readonly HeaderExtension[], type: number): HeaderExtension | undefined {
  return extensions.findLast((extension) => extension.type === type);
}

/** "gone": what an extension that was dropped from the middle of the list is called. Whoever does not know a type passes over it. */
const DROPPED = 0x676f6e65;

/**
 * What to write, and where, so that an image no longer has extensions of a type. The others stay where they are, so that the
 * list can be read whatever part of it reaches the medium: the end of the list moves up to a dropped extension that is its
 * last, and one in the middle takes a type that nobody knows. Type and length share a sector; where the header's length is no
 * multiple of 8 they may not, and the extensions stay.
 */
export function dropExtensions(
  extensions: readonly HeaderExtension[],
  type: number,
): { readonly at: number; readonly bytes: Uint8Array<ArrayBuffer> }[] {
  if (extensions.some(({ offset }) => offset % 8 !== 0)) return [];
  const lastKept = extensions.findLastIndex((extension) => extension.type !== type);
  return extensions.flatMap(({ type: own, offset, data }, index) => {
    if (own !== type) return [];
    const bytes = new Uint8Array(EXTENSION_HEADER_BYTES + data.length);
    if (index < lastKept) {
      viewOf(bytes).setUint32(0, DROPPED);
      viewOf(bytes).setUint32(4, data.length);
    }
    return { at: offset - EXTENSION_HEADER_BYTES, bytes };
  });
}

/** The feature name table as a list; a last entry that is cut short is left out. */
export function decodeFeatureNames(data: Uint8Array): FeatureName[] {
  const names: FeatureName[] = [];
  for (let at = 0; at + FEATURE_NAME_BYTES <= data.length; at += FEATURE_NAME_BYTES) {
    const name = decodeName(data.subarray(at + 2, at + FEATURE_NAME_BYTES));
    names.push({ kind: data[at]!, bit: data[at + 1]!, name });
  }
  return names;
}

/** The bytes of a feature name table. */
export function encodeFeatureNames(names: readonly FeatureName[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(names.length * FEATURE_NAME_BYTES);
  names.forEach(({ kind, bit, name }, index) => {
    const at = index * FEATURE_NAME_BYTES;
    bytes[at] = kind;
    bytes[at + 1] = bit;
    bytes.set(encodeName(name).subarray(0, FEATURE_NAME_BYTES - 2), at + 2);
  });
  return bytes;
}

/**
 * The bitmaps extension.
 *
 * @throws {@link Qcow2Error} `corrupt` when its length or its reserved field is wrong.
 */
export function decodeBitmapsExtension({ data, offset }: HeaderExtension): BitmapsExtension {
  const view = viewOf(data);
  if (data.length !== 24 || view.getUint32(4) !== 0) {
    throw new Qcow2Error('corrupt', 'The bitmaps extension must be 24 bytes long with its reserved field zero.', {
      what: 'bitmaps extension',
      at: offset,
    });
  }
  return { count: view.getUint32(0), directorySize: getUint64(view, 8), directoryOffset: getUint64(view, 16) };
}

/** The bytes of a bitmaps extension. */
export function encodeBitmapsExtension(bitmaps: BitmapsExtension): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(24);
  const view = viewOf(bytes);
  view.setUint32(0, bitmaps.count);
  setUint64(view, 8, bitmaps.directorySize);
  setUint64(view, 16, bitmaps.directoryOffset);
  return bytes;
}
