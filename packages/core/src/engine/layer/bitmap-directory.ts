/** Owns where the bitmap directory is. */
import {
  type BitmapsExtension,
  decodeBitmapsExtension,
  validateBitmapsExtension,
} from '../../format/bitmaps-extension.js';
import { EXTENSION, findExtension, type HeaderExtension } from '../../format/extensions.js';
import type { Geometry } from '../../format/geometry.js';
import { AUTOCLEAR, type Header } from '../../format/header.js';

/**
 * Where the bitmap directory is; null when there is none, or when the image does not vouch for it.
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
