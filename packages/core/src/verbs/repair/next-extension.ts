/** Finds the header extension behind one whose length is damaged. */
import { hex, viewOf } from '../../format/bytes.js';
import { EXTENSION, EXTENSION_HEADER_BYTES, extensionName } from '../../format/extensions.js';
import { FEATURE_NAME_BYTES } from '../../format/feature-names.js';
import { MAX_BACKING_FORMAT_BYTES, MAX_BACKING_NAME_BYTES } from '../../format/limits.js';

/** The name of an extension's type, or its number. */
export function nameOfType(type: number): string {
  return extensionName(type) ?? `type ${hex(type)}`;
}

/**
 * Where the next extension of a known type begins behind the one at `at`, whose length is not known; null when none
 * does before `end`, or before what may be the end of the list. Its own length may be damaged in the same way.
 */
export function nextExtension(bytes: Uint8Array, at: number, end: number): number | null {
  const view = viewOf(bytes);
  const damaged = view.getUint32(at);
  const isKnown = extensionName(damaged) !== undefined;
  const step = damaged === EXTENSION.featureNames ? FEATURE_NAME_BYTES : EXTENSION_HEADER_BYTES;
  const last = Math.min(end, bytes.length) - EXTENSION_HEADER_BYTES;
  for (let next = at + EXTENSION_HEADER_BYTES; next <= last; next += step) {
    const type = view.getUint32(next);
    const length = view.getUint32(next + 4);
    const overhangs = length > end - next - EXTENSION_HEADER_BYTES;
    if (extensionName(type) !== undefined && (overhangs || isPlausible(type, length))) return next;
    // No extension of a known type contains such a word there; in others it may be anything.
    if (type === 0 && length === 0 && isKnown) return null;
  }
  return null;
}

/** Whether an extension of a known type may have this length. */
function isPlausible(type: number, length: number): boolean {
  switch (type) {
    case EXTENSION.bitmaps:
      return length === 24;
    case EXTENSION.cryptoHeader:
      return length === 16;
    case EXTENSION.backingFormat:
      return length > 0 && length <= MAX_BACKING_FORMAT_BYTES;
    case EXTENSION.dataFile:
      return length > 0 && length <= MAX_BACKING_NAME_BYTES;
    case EXTENSION.featureNames:
      return length > 0 && length % FEATURE_NAME_BYTES === 0;
    default:
      return false;
  }
}
