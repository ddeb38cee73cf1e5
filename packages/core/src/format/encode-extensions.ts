/** Owns the writing of header extensions and of the feature name table: the inverse of `extensions.ts`. */
import { alignUp, viewOf } from './bytes.js';
import { EXTENSION_HEADER_BYTES, type FeatureName, type HeaderExtension } from './extensions.js';
import { FEATURE_NAME_BYTES } from './feature-names.js';
import { encodeName } from './names.js';

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

/**
 * "gone": what an extension that was dropped from the middle of the list is called. Whoever does not know a type passes
 * over it.
 */
const DROPPED = 0x676f6e65;

/**
 * What to write, and where, so that an image no longer has extensions of a type. The others stay where they are, so
 * that the list can be read whatever part of it reaches the medium: the end of the list moves up to a dropped extension
 * that is its last, and one in the middle takes a type that nobody knows. Type and length share a sector; where the
 * header's length is no multiple of 8 they may not, and the extensions stay.
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
