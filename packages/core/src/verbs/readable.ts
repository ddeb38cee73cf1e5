/** Makes the stream of guest bytes. The reader is loaded with the first chunk. */

import type { SalvageOptions } from '../api/options.js';
import type { Qcow2Layer } from '../engine/layer/layer.js';
import type { GuestReader } from './guest-reader.js';

/** Bytes of the buffer that a pull fills when the consumer passes none. */
const CHUNK_BYTES = 1024 * 1024;

/**
 * A stream of the guest's bytes in `[start, end)`: a byte stream where the platform has them, else a default one.
 * `alive` throws when the image is no longer open.
 */
export function readableOf(
  layer: Qcow2Layer,
  start: number,
  end: number,
  alive: () => void,
  options?: SalvageOptions,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  let loaded: Promise<GuestReader> | undefined;
  const reader = () => {
    loaded ??= import('./guest-reader.js').then((module) => new module.GuestReader(layer, start, end, alive, options));
    return loaded;
  };
  try {
    return new ReadableStream({
      type: 'bytes',
      autoAllocateChunkSize: CHUNK_BYTES,
      pull: async (controller) => (await reader()).pullBytes(controller),
    });
  } catch (error) {
    // Safari before 26.4 has no byte streams, and throws a TypeError or a RangeError.
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
    const pull: UnderlyingDefaultSource<Uint8Array<ArrayBuffer>>['pull'] = async (controller) =>
      (await reader()).pullChunk(controller);
    return new ReadableStream({ pull }, { highWaterMark: 0 });
  }
}
