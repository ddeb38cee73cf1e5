/** Reads the name of the backing file. The header's cluster contains it, so no other table is read. */

import type { ByteSource } from '../api/device.js';
import { type FirstCluster, readHeader } from '../engine/layer/metadata.js';
import { decodeName } from '../format/names.js';

/**
 * The name of the backing file as the image gives it; null when it has none (spec: "Header", `backing_file_offset`).
 */
export function backingNameIn({ header, bytes }: Pick<FirstCluster, 'header' | 'bytes'>): string | null {
  const { backingFileOffset: at, backingFileSize: length } = header;
  // An empty name is none: QEMU opens such an image as one without a backing file.
  const name = at === 0 ? '' : decodeName(bytes.subarray(at, at + length));
  return name === '' ? null : name;
}

/**
 * The name of an image's backing file, from its header alone; null when it has none.
 *
 * @throws {@link Qcow2Error} `not-qcow2`, `unsupported`, `corrupt`, and what the source throws; the signal's reason.
 */
export async function readBackingName(source: ByteSource, signal?: AbortSignal): Promise<string | null> {
  return backingNameIn(await readHeader(source, signal));
}
