/** Owns the inflating of raw deflate streams (RFC 1951), the compression that qcow2 calls zlib. */
import { Inflate, inflateSync } from 'fflate';
import type { Codec, InflateJob } from '../engine/layer/codec.js';
import { Qcow2Error, reasonOf } from '../errors.js';
import { hex } from '../format/bytes.js';

/**
 * The longest input worth looking at: deflate stores what it cannot shrink with 5 bytes for each 64 KiB, so a longer
 * stream holds more than a cluster. It bounds what a hostile descriptor can cost.
 */
function longestInput(clusterSize: number): number {
  return clusterSize + Math.ceil(clusterSize / 16) + 1024;
}

/**
 * What is inflated in one go. A byte of input can stand for 1032 bytes of output, and fflate counts through all of them
 * even when there is no room: so this bounds what a hostile stream can cost to a fraction of a second, and longer ones
 * come in pieces of it, which is slower by a third.
 */
const PIECE = 64 * 1024 + 512;

/** A decompressor that answers at once. It keeps one buffer and so serves one engine. */
export function deflateCodec(): Codec {
  let scratch = new Uint8Array(0);
  return {
    inflate(jobs: readonly InflateJob[]): void {
      for (const { input, output, at } of jobs) {
        // A byte more than a cluster, so that a stream which gives more is seen to.
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
      `The compressed cluster at ${hex(at)} is no valid deflate stream: ${reasonOf(cause)}.`,
      { what: 'compressed cluster', at },
      { cause },
    );
  }
}

/** Stops with `out` full: that is a byte more than a cluster, and so too much whatever follows. */
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
  return new Qcow2Error('corrupt', `The compressed cluster at ${hex(at)} holds ${found}.`, {
    what: 'compressed cluster',
    at,
  });
}
