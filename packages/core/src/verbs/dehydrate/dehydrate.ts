/** Makes the stream of a dehydrated image: its metadata in a container, compressed. */

import type { DehydrateOptions } from '../../api/options.js';
import { settled } from '../../engine/async/done.js';
import { linkedAbort } from '../../engine/async/linked-abort.js';
import type { Qcow2Layer } from '../../engine/layer/layer.js';
import type { Writer } from '../../engine/write/writer.js';
import type { StreamSource } from '../lazy-stream.js';
import { containerOf } from './container.js';

type Chunk = Uint8Array<ArrayBuffer>;

/** The parts of an open image that dehydrating needs. */
export interface DehydratedImage {
  readonly layer: Qcow2Layer;
  readonly write: { readonly writer: Writer } | null;
}

/**
 * Dehydrates an open image. If it is open for writing, it is flushed first, and changes wait until the stream has ended
 * or was cancelled: the tables in it belong together. `alive` throws when the image is no longer open.
 */
export function dehydrate(image: DehydratedImage, alive: () => void, options: DehydrateOptions = {}): StreamSource {
  const gzip = new CompressionStream('gzip');
  const output = gzip.readable.getReader();
  const ending = linkedAbort(options.signal);
  let failure: { readonly reason: unknown } | null = null;
  const work = compress(image, gzip.writable.getWriter(), alive, options, ending.signal)
    .catch((reason: unknown) => {
      failure = { reason };
    })
    .finally(() => ending.release());
  return {
    async pull(controller) {
      const next = await output.read().catch(() => null);
      if (next !== null && !next.done) return controller.enqueue(next.value);
      // The compressor's own error is only that it was aborted.
      await work;
      if (failure !== null) throw failure.reason;
      controller.close();
    },
    async cancel(reason) {
      ending.abort(reason);
      await work;
    },
  };
}

/** Writes the container into a compressor; aborts that when it fails. */
async function compress(
  { layer, write }: DehydratedImage,
  compressor: WritableStreamDefaultWriter<Chunk>,
  alive: () => void,
  options: DehydrateOptions,
  ending: AbortSignal,
): Promise<void> {
  const fill = async (signal: AbortSignal): Promise<void> => {
    for await (const chunk of containerOf(layer.source, { ...options, signal })) {
      alive();
      await settled(compressor.write(chunk), signal);
    }
  };
  try {
    await (write === null ? fill(ending) : write.writer.atRest(fill, ending));
    await settled(compressor.close(), ending);
  } catch (error) {
    compressor.abort(error).catch(() => {});
    throw error;
  }
}
