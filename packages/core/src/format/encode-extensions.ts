/** Encodes header extensions and the feature name table: the inverse of `extensions.ts`. */
import { alignUp, viewOf } from './bytes.js';
import { EXTENSION_HEADER_BYTES, type FeatureName, type HeaderExtension } from './extensions.js';
import { FEATURE_NAME_BYTES } from './feature-names.js';
import { encodeName } from './names.js';

/** Encodes a list of extensions, with its end marker. */
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

/** "gone": the type given to an extension that is dropped from the middle of the list. Readers skip unknown types. */
const DROPPED = 0x676f6e65;

/** The type and the length, as bytes, of an extension that is dropped from the middle of the list. */
export function droppedExtensionHeader(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(EXTENSION_HEADER_BYTES);
  viewOf(bytes).setUint32(0, DROPPED);
  viewOf(bytes).setUint32(4, length);
  return bytes;
}

/**
 * Returns the writes, at file offsets in bytes, that remove all extensions of a type. The others keep their offsets, so
 * that the list stays readable whichever of the writes reach the medium. If a dropped extension is the last, the end of
 * the list moves up to it; one in the middle gets an unknown type. Type and length share a sector only if the offset is
 * a multiple of 8; otherwise only the type changes: whichever of its bytes reach the medium, it is an unknown one.
 */
export function dropExtensions(
  extensions: readonly HeaderExtension[],
  type: number,
): { readonly at: number; readonly bytes: Uint8Array<ArrayBuffer> }[] {
  const lastKept = extensions.findLastIndex((extension) => extension.type !== type);
  return extensions.flatMap(({ type: own, offset, data }, index) => {
    if (own !== type) return [];
    if (offset % 8 !== 0) return { at: offset - EXTENSION_HEADER_BYTES, bytes: droppedExtensionHeader(0).slice(0, 4) };
    const bytes = new Uint8Array(EXTENSION_HEADER_BYTES + data.length);
    if (index < lastKept) bytes.set(droppedExtensionHeader(data.length));
    return { at: offset - EXTENSION_HEADER_BYTES, bytes };
  });
}

/** Encodes a feature name table. */
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
