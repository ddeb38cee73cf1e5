/** Reads the names of other files. The header's cluster contains them, so no table is read. */

import type { ByteSource } from '../api/device.js';
import { type FirstCluster, readHeader } from '../engine/layer/metadata.js';
import { EXTENSION, findExtension } from '../format/extensions.js';
import { INCOMPATIBLE } from '../format/header.js';
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

/** The format that an image gives for its backing file; undefined when it gives none. */
export function backingFormatIn({ extensions }: Pick<FirstCluster, 'extensions'>): string | undefined {
  const extension = findExtension(extensions, EXTENSION.backingFormat);
  return (extension && decodeName(extension.data)) || undefined;
}

/** The name of the external data file, which may be empty; null when the image has none. */
export function dataFileNameIn({ header, extensions }: Pick<FirstCluster, 'header' | 'extensions'>): string | null {
  if (!header.incompatibleFeatures.includes(INCOMPATIBLE.dataFile)) return null;
  const extension = findExtension(extensions, EXTENSION.dataFile);
  return extension === undefined ? '' : decodeName(extension.data);
}

/**
 * The name of an image's backing file, from its header alone; null when it has none.
 *
 * @throws {@link Qcow2Error} `not-qcow2`, `unsupported`, `corrupt`, and what the source throws; the signal's reason.
 */
export async function readBackingName(source: ByteSource, signal?: AbortSignal): Promise<string | null> {
  return backingNameIn(await readHeader(source, signal));
}
