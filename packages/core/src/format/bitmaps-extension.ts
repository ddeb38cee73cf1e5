/**
 * Encodes, decodes and validates the bitmaps extension, which locates the bitmap directory (spec: "Bitmaps extension").
 */
import { Qcow2Error } from '../errors.js';
import { getUint64, setUint64, viewOf } from './bytes.js';
import type { HeaderExtension } from './extensions.js';
import type { Geometry } from './geometry.js';
import { MAX_BITMAP_DIRECTORY_BYTES, MAX_BITMAPS } from './limits.js';
import { aligned, fail } from './validate.js';

/** Where the bitmap directory is; offsets and sizes in bytes. */
export interface BitmapsExtension {
  readonly count: number;
  readonly directorySize: number;
  readonly directoryOffset: number;
}

/**
 * Decodes the bitmaps extension.
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

/** Encodes a bitmaps extension. */
export function encodeBitmapsExtension(bitmaps: BitmapsExtension): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(24);
  const view = viewOf(bytes);
  view.setUint32(0, bitmaps.count);
  setUint64(view, 8, bitmaps.directorySize);
  setUint64(view, 16, bitmaps.directoryOffset);
  return bytes;
}

/**
 * Checks the count, size and offset of the bitmap directory. `at` is the file offset of the extension's data, in bytes.
 *
 * @throws {@link Qcow2Error} `unsupported` or `corrupt`.
 */
export function validateBitmapsExtension(
  { count, directorySize, directoryOffset }: BitmapsExtension,
  at: number,
  geometry: Geometry,
  fileSize: number,
): void {
  if (count === 0) fail('corrupt', 'nb_bitmaps', at, 'is 0 in a bitmaps extension');
  if (count > MAX_BITMAPS) fail('unsupported', 'nb_bitmaps', at, `is ${count}; the maximum is 65,535`);
  if (directorySize > MAX_BITMAP_DIRECTORY_BYTES) {
    fail(
      'unsupported',
      'bitmap_directory_size',
      at + 8,
      `is ${directorySize}; the maximum is 1024 bytes for each of 65,535 bitmaps`,
    );
  }
  aligned('bitmap_directory_offset', at + 16, directoryOffset, geometry);
  if (directoryOffset + directorySize > fileSize) {
    fail('corrupt', 'bitmap_directory_size', at + 8, 'puts the end of the directory past the end of the file');
  }
}
