/** Owns an image that is open on files of a store, and the end of what is held for it. */
import { type Openable, type OpenOptions, Qcow2Image } from 'qcow2';
import type { HeldFiles } from './held-files.js';

/** An image that is open, and what is held for it. */
export interface OpenImage {
  readonly image: Qcow2Image;
  close(): Promise<void>;
}

/** Opens the image of a held file; everything that is held goes with it. Throws what opening throws. */
export async function openHeld(held: HeldFiles, source: Openable, options: OpenOptions): Promise<OpenImage> {
  const image = await Qcow2Image.open(source, { ...options, resolve: resolverOf(held, options) });
  const close = (): Promise<void> => image.close().finally(() => held.release());
  return { image, close };
}

/** Asks the store first, then the caller. */
export function resolverOf(held: HeldFiles, { resolve }: OpenOptions): NonNullable<OpenOptions['resolve']> {
  return async (reference) => (await held.resolve(reference)) ?? (await resolve?.(reference)) ?? null;
}
