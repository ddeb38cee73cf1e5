/** An image that is open on files of a store, and the release of what is held for it. */
import { type Openable, type OpenOptions, Qcow2Image } from 'qcow2';
import { namedFile } from '../../protocol/base-name.js';
import type { HeldFiles } from './held-files.js';

/** An image that is open, and what is held for it. */
export interface OpenImage {
  readonly image: Qcow2Image;
  close(): Promise<void>;
}

/** Opens the image of a held file; closing it releases all that is held. Throws what opening throws. */
export async function openHeld(held: HeldFiles, source: Openable, options: OpenOptions): Promise<OpenImage> {
  const image = await Qcow2Image.open(source, { ...options, resolve: resolverOf(held, options) });
  const close = (): Promise<void> => image.close().finally(() => held.release());
  return { image, close };
}

/**
 * Looks in the store first, then calls the caller's resolver.
 *
 * @throws {@link Qcow2Error} `unsupported` for a file that is described, when its options are not honoured here and the
 *   caller has nothing for it.
 */
export function resolverOf(held: HeldFiles, { resolve }: OpenOptions): NonNullable<OpenOptions['resolve']> {
  return async (reference) => {
    const file = (await held.resolve(reference)) ?? (await resolve?.(reference));
    if (file === undefined) namedFile(reference.name);
    return file;
  };
}
