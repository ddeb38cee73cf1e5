/** Owns the guest's bytes as a stream. */
import { readPieces } from '../io/execute.js';
import type { Layer } from '../io/layer.js';
import { progressOf } from '../io/progress.js';
import type { OperationOptions } from '../options.js';

/** How much a pull reads when the consumer brings no buffer of its own. */
const CHUNK_BYTES = 1024 * 1024;

/**
 * A stream of the guest's bytes in `[start, end)`: a byte stream where the platform has them, else a default one.
 * `alive` throws when the image is no longer open.
 */
export function readableOf(
  layer: Layer,
  start: number,
  end: number,
  alive: () => void,
  options?: OperationOptions,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const progress = progressOf(options, 'read', end - start);
  let at = start;
  const fill = async (into: Uint8Array): Promise<void> => {
    options?.signal?.throwIfAborted();
    alive();
    await readPieces(layer, [{ offset: at, into }], options?.signal);
    at += into.length;
    progress(at - start);
  };
  try {
    return new ReadableStream(byteSource(fill, () => end - at));
  } catch (error) {
    // Safari before 26.4 has no byte streams and says so with a TypeError or a RangeError.
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
    return new ReadableStream(
      defaultSource(fill, () => end - at),
      { highWaterMark: 0 },
    );
  }
}

function byteSource(fill: (into: Uint8Array) => Promise<void>, left: () => number): UnderlyingByteSource {
  return {
    type: 'bytes',
    autoAllocateChunkSize: CHUNK_BYTES,
    async pull(controller) {
      const request = controller.byobRequest!;
      const view = request.view!;
      if (left() === 0) {
        controller.close();
        request.respond(0);
        return;
      }
      const length = Math.min(view.byteLength, left());
      await fill(new Uint8Array(view.buffer, view.byteOffset, length));
      request.respond(length);
      if (left() === 0) controller.close();
    },
  };
}

function defaultSource(
  fill: (into: Uint8Array) => Promise<void>,
  left: () => number,
): UnderlyingDefaultSource<Uint8Array<ArrayBuffer>> {
  return {
    async pull(controller) {
      if (left() > 0) {
        const chunk = new Uint8Array(Math.min(CHUNK_BYTES, left()));
        await fill(chunk);
        controller.enqueue(chunk);
      }
      if (left() === 0) controller.close();
    },
  };
}
