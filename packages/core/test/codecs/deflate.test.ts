/** The inflating of clusters: exact or refused, whatever follows the stream, and cheap to refuse. */
import { constants, deflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { deflateCodec } from '../../src/codecs/deflate.js';
import { expectSame } from '../support/expect-same.js';
import { noiseOf } from '../support/numbers.js';

const KIB = 1024;

/** Bytes of which about half cannot be shrunk, so that a large cluster's stream is longer than one piece. */
function rough(length: number): Uint8Array {
  return noiseOf(7, length).map((byte, index) => (index % 2 === 0 ? byte : 97));
}

/** The stream as an image holds it: to the end of a sector, with garbage after the stream. */
function stored(stream: Uint8Array): Uint8Array {
  const input = new Uint8Array(Math.ceil((stream.length + 1) / 512) * 512).fill(0xa5);
  input.set(stream);
  return input;
}

function inflate(stream: Uint8Array, clusterSize: number): Uint8Array {
  const output = new Uint8Array(clusterSize);
  deflateCodec().inflate([{ input: stored(stream), output, at: 0x1000 }]);
  return output;
}

/** A stream of a gibibyte of zeros: one of 16 MiB again and again, since to compress it all takes seconds. */
function gibibyte(): Uint8Array {
  const part = deflateRawSync(new Uint8Array(16 * 1024 * KIB), { level: 9, finishFlush: constants.Z_FULL_FLUSH });
  return Buffer.concat([...Array.from({ length: 64 }, () => part), deflateRawSync(new Uint8Array(0))]);
}

describe.each([512, 64 * KIB, 256 * KIB, 2048 * KIB])('deflate, clusters of %i bytes', (size) => {
  it('decompresses every level, and stored blocks', () => {
    const cluster = rough(size);
    for (const level of [0, 1, 9]) expectSame(inflate(deflateRawSync(cluster, { level }), size), cluster);
    const fixed = deflateRawSync(cluster, { strategy: constants.Z_FIXED, windowBits: 12 });
    expectSame(inflate(fixed, size), cluster);
    expectSame(inflate(deflateRawSync(new Uint8Array(size)), size), new Uint8Array(size));
  });

  it.each([-1, 1, 40_000])('refuses a stream of %i bytes more', (more) => {
    for (const cluster of [rough(size + more), new Uint8Array(size + more)]) {
      expect(() => inflate(deflateRawSync(cluster), size)).toThrow(
        expect.objectContaining({ code: 'corrupt', details: { what: 'compressed cluster', at: 0x1000 } }),
      );
    }
  });

  it('refuses a stream that is cut off', () => {
    const stream = deflateRawSync(rough(size));
    const output = new Uint8Array(size);
    const job = { input: stream.subarray(0, stream.length - 20), output, at: 0 };
    expect(() => deflateCodec().inflate([job])).toThrow(expect.objectContaining({ code: 'corrupt' }));
  });
});

describe('deflate', () => {
  it('stops early in a stream with a gibibyte of content', () => {
    const bomb = gibibyte();
    const inflating = () => deflateCodec().inflate([{ input: bomb, output: new Uint8Array(2048 * KIB), at: 0 }]);
    expect(inflating).toThrow(expect.objectContaining({ code: 'corrupt' }));
    // Whoever goes on behind the first piece comes to what is no deflate stream, and says so instead.
    bomb.fill(0xff, 128 * KIB);
    expect(inflating).toThrow(/contains more than one cluster/);
  });
});
