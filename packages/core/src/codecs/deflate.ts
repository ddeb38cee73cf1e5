/** Decompresses raw deflate streams (RFC 1951), which qcow2 calls zlib. */
import { Inflate, inflateSync } from 'fflate';
import type { Codec, InflateJob } from '../engine/layer/codec.js';
import { Qcow2Error, reasonOf } from '../errors.js';
import { hex } from '../format/bytes.js';

/**
 * Maximum useful input length, bytes. Deflate stores incompressible data with 5 bytes of overhead for each 64 KiB, so a
 * longer stream contains more than a cluster. The limit bounds the cost of a hostile descriptor.
 */
function longestInput(clusterSize: number): number {
  return clusterSize + Math.ceil(clusterSize / 16) + 1024;
}

/**
 * Length of input that is decompressed in one call. A byte of input can produce 1032 bytes of output, and fflate
 * processes all of them even when the output is full. So this bounds the cost of a hostile stream to a fraction of a
 * second. Longer streams are decompressed in pieces, which is slower by a third.
 */
const PIECE = 64 * 1024 + 512;

/** Returns a synchronous decompressor. It reuses one buffer, so each engine needs its own. */
export function deflateCodec(): Codec {
  let scratch = new Uint8Array(0);
  return {
    inflate(jobs: readonly InflateJob[]): void {
      for (const { input, output, at } of jobs) {
        // One byte more than a cluster, to detect a stream that is too long.
        if (scratch.length !== output.length + 1) scratch = new Uint8Array(output.length + 1);
        const inflated = inflateInto(input.subarray(0, longestInput(output.length)), scratch, at);
        if (inflated.length !== output.length) throw wrongLength(inflated.length, output.length, at);
        output.set(inflated);
      }
    },
  };
}

function inflateInto(input: Uint8Array, out: Uint8Array, at: number): Uint8Array {
  try {
    return input.length <= PIECE ? inflateSync(input, { out }) : inflatePieces(input, out);
  } catch (cause) {
    throw new Qcow2Error(
      'corrupt',
      `The compressed cluster at ${hex(at)} is not a valid deflate stream: ${reasonOf(cause)}.`,
      { what: 'compressed cluster', at },
      { cause },
    );
  }
}

/** Stops when `out` is full: it is one byte longer than a cluster, so the stream is too long. */
function inflatePieces(input: Uint8Array, out: Uint8Array): Uint8Array {
  let length = 0;
  const stream = new Inflate((chunk) => {
    const part = chunk.subarray(0, out.length - length);
    out.set(part, length);
    length += part.length;
  });
  for (let at = 0; at < input.length && length < out.length; at += PIECE) {
    stream.push(input.subarray(at, at + PIECE), at + PIECE >= input.length);
  }
  return out.subarray(0, length);
}

function wrongLength(length: number, clusterSize: number, at: number): Qcow2Error {
  const found = length > clusterSize ? 'more than one cluster' : `${length} of ${clusterSize} bytes`;
  return new Qcow2Error('corrupt', `The compressed cluster at ${hex(at)} contains ${found}.`, {
    what: 'compressed cluster',
    at,
  });
}
