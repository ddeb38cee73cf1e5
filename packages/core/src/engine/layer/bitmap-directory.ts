/** Finds the bitmap directory. */
import {
  type BitmapsExtension,
  decodeBitmapsExtension,
  validateBitmapsExtension,
} from '../../format/bitmaps-extension.js';
import { EXTENSION, findExtension, type HeaderExtension } from '../../format/extensions.js';
import type { Geometry } from '../../format/geometry.js';
import { AUTOCLEAR, type Header } from '../../format/header.js';

/**
 * The place of the bitmap directory; null when there is none, or when its autoclear bit is clear.
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
