/** Owns the inflating of zstd streams (RFC 8878): the compression of type 1. */

import type { Codec, InflateJob } from '../engine/layer/codec.js';
import { Qcow2Error, reasonOf } from '../errors.js';
import { hex } from '../format/bytes.js';
import { decodeFrames, MAX_BLOCK_BYTES } from './zstd/frames.js';

/**
 * A decompressor that answers at once. It decodes into the output itself and takes no memory by what a stream says;
 * what it does is bounded by the length of the stream and of the cluster. It keeps one buffer and so serves one engine.
 */
export function zstdCodec(): Codec {
  const scratch = new Uint8Array(MAX_BLOCK_BYTES);
  return {
    inflate(jobs: readonly InflateJob[]): void {
      for (const { input, output, at } of jobs) {
        try {
          decodeFrames(input, output, scratch);
        } catch (cause) {
          const message = `The compressed cluster at ${hex(at)} is no valid zstd stream: ${reasonOf(cause)}.`;
          throw new Qcow2Error('corrupt', message, { what: 'compressed cluster', at }, { cause });
        }
      }
    },
  };
}
