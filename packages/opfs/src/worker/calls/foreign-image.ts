/**
 * Opens an image that is in no store: the file that the page handed over, or one that the worker fetches.
 */
import { type ByteSource, httpSource, type Openable, type OpenOptions, Qcow2Image } from 'qcow2';
import type { WireFile } from '../../protocol/messages.js';
import type { OpenImage } from '../store/held-image.js';

/**
 * What the engine reads a file from that came from the page.
 *
 * @throws what `httpSource` throws for a file that is named by its address
 */
export async function sourceOf(file: WireFile, signal: AbortSignal | undefined): Promise<Openable> {
  return 'url' in file ? httpSource(file.url, { ...file.options, signal }) : file;
}

/** Opens the image; closing it closes its file. Throws what opening throws. */
export async function openForeign(file: WireFile, options: OpenOptions): Promise<OpenImage> {
  const source = await sourceOf(file, options.signal);
  // The engine closes no source that its caller made.
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
