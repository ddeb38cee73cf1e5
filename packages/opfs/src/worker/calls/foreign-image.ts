/** Opens an image outside the store: a file that the page passed, or one that the worker fetches. */
import { type ByteSource, httpSource, type Openable, type OpenOptions, Qcow2Image } from 'qcow2';
import type { WireFile } from '../../protocol/messages.js';
import type { OpenImage } from '../store/open-image.js';

/**
 * The engine's source for a file that came from the page.
 *
 * @throws what `httpSource` throws for a file given by URL
 */
export async function sourceOf(file: WireFile, signal: AbortSignal | undefined): Promise<Openable> {
  return 'url' in file ? httpSource(file.url, { ...file.options, signal }) : file;
}

/** Opens the image. Closing it closes its file. Throws what opening throws. */
export async function openForeign(file: WireFile, options: OpenOptions): Promise<OpenImage> {
  const source = await sourceOf(file, options.signal);
  // The engine does not close sources that its caller made.
  const closeSource = async (): Promise<void> => {
    if ('url' in file) await (source as ByteSource).close?.();
  };
  try {
    const image = await Qcow2Image.open(source, options);
    return { image, close: () => image.close().finally(closeSource) };
  } catch (error) {
    await closeSource();
    throw error;
  }
}
