/** Decompresses zstd streams (RFC 8878): compression type 1. */

import type { Codec, InflateJob } from '../engine/layer/codec.js';
import { Qcow2Error, reasonOf } from '../errors.js';
import { hex } from '../format/bytes.js';
import { decodeFrames, MAX_BLOCK_BYTES } from './zstd/frames.js';

/**
 * Returns a synchronous decompressor. It decodes directly into the output. Its memory does not depend on the stream's
 * fields, and its time is bounded by the lengths of the stream and of the cluster. It reuses one buffer, so each engine
 * needs its own.
 */
export function zstdCodec(): Codec {
  const scratch = new Uint8Array(MAX_BLOCK_BYTES);
  return {
    inflate(jobs: readonly InflateJob[]): void {
      for (const { input, output, at } of jobs) {
        try {
          decodeFrames(input, output, scratch);
        } catch (cause) {
          const message = `The compressed cluster at ${hex(at)} is not a valid zstd stream: ${reasonOf(cause)}.`;
          throw new Qcow2Error('corrupt', message, { what: 'compressed cluster', at }, { cause });
        }
      }
    },
  };
}
