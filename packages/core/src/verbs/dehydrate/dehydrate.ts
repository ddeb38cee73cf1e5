/** Makes the stream of a dehydrated image: its metadata in a container, compressed. */

import type { DehydrateOptions } from '../../api/options.js';
import { linkedAbort } from '../../engine/async/linked-abort.js';
import { onAbort } from '../../engine/async/on-abort.js';
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
  alive();
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
    // A consumer may never read on: the compressor waits for it, and an abort must end that.
    const aborted = new Promise<never>((_, reject) => onAbort(signal, () => reject(signal.reason)));
    aborted.catch(() => {});
    for await (const chunk of containerOf(layer.source, { ...options, signal })) {
      alive();
      await Promise.race([compressor.write(chunk), aborted]);
    }
    await Promise.race([compressor.close(), aborted]);
  };
  try {
    await (write === null ? fill(ending) : write.writer.atRest(fill, ending));
  } catch (error) {
    compressor.abort(error).catch(() => {});
    throw error;
  }
}
