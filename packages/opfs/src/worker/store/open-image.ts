/** Opens an image on files of a store, and releases their locks when it is closed. */
import { type Openable, type OpenOptions, Qcow2Image } from 'qcow2';
import { namedFile } from '../../protocol/base-name.js';
import type { LockedFiles } from './locked-files.js';

/** An open image and the locks it needs. */
export interface OpenImage {
  readonly image: Qcow2Image;
  close(): Promise<void>;
}

/** Opens the image of a locked file. Closing it releases all the locks. Throws what opening throws. */
export async function openLockedImage(
  lockedFiles: LockedFiles,
  source: Openable,
  options: OpenOptions,
): Promise<OpenImage> {
  const image = await Qcow2Image.open(source, { ...options, resolve: resolverOf(lockedFiles, options) });
  const close = (): Promise<void> => image.close().finally(() => lockedFiles.release());
  return { image, close };
}

/**
 * Searches the store first, then calls the caller's resolver.
 *
 * @throws {@link Qcow2Error} `unsupported` for a file description with unsupported options, if the caller's resolver
 *   returns nothing for it.
 */
export function resolverOf(lockedFiles: LockedFiles, { resolve }: OpenOptions): NonNullable<OpenOptions['resolve']> {
  return async (reference) => {
    const file = (await lockedFiles.resolve(reference)) ?? (await resolve?.(reference));
    if (file === undefined) namedFile(reference.name);
    return file;
  };
}
