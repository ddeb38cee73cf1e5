/**
 * The digest of a disk: what it reads and what it leaves unread, its progress, its end, and the hashes that it takes.
 * Every golden image's digest is compared with qemu-img's bytes in golden/.
 */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { nodeHash } from '../node/index.js';
import { type ByteSource, bufferDevice, type DigestOptions, Qcow2Image } from '../src/index.js';
import { buildImage, type Cell } from './support/image-builder.js';
import { noiseOf } from './support/numbers.js';
import { RecordingSource } from './support/recording-source.js';

const CLUSTER = 65_536;
const MIB = 1024 * 1024;

const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** An image with data in the given clusters, and the guest's whole disk. */
function imageOf(size: number, indexes: readonly number[]): { bytes: Uint8Array<ArrayBuffer>; guest: Uint8Array } {
  const guest = new Uint8Array(size);
  const clusters = new Map<number, Cell>();
  for (const index of indexes) {
    const bytes = noiseOf(index + 1, CLUSTER);
    clusters.set(index, { kind: 'data', bytes });
    guest.set(bytes.subarray(0, size - index * CLUSTER), index * CLUSTER);
  }
  return { bytes: buildImage({ size, clusters }).bytes, guest };
}

/** The indexes of `count` clusters, each `step` after the one before. */
const every = (step: number, count: number): number[] => Array.from({ length: count }, (_, index) => index * step);

/** A source that reads as slowly as a disk does, without a promise. */
function busySource(bytes: Uint8Array): ByteSource & { reads: number } {
  const memory = new RecordingSource(bytes);
  return {
    reads: 0,
    size: bytes.length,
    read(transfers) {
      this.reads++;
      for (const end = Date.now() + 25; Date.now() < end; );
      return memory.read(transfers);
    },
  };
}

describe('what is read', () => {
  it('is nothing of holes and zeros: two calls, for the table and for all data of a sparse disk', async () => {
    const { bytes, guest } = imageOf(64 * MIB, [3, 500, 900]);
    const source = new RecordingSource(bytes);
    const image = await Qcow2Image.open(source);
    source.calls.length = 0;
    expect(hex(await image.digest('SHA-256', { createHash: nodeHash }))).toBe(hashOf(guest));
    expect(source.calls.map((call) => call.length)).toEqual([1, 3]);
    expect(source.calls[1]!.map(({ length }) => length)).toEqual([CLUSTER, CLUSTER, CLUSTER]);
  });

  it('is nothing at all of zero clusters, with or without a place in the file, above a backing file', async () => {
    const clusters = new Map<number, Cell>([
      [0, { kind: 'zero', allocated: true }],
      [1, { kind: 'zero', allocated: false }],
    ]);
    const source = new RecordingSource(buildImage({ size: 2 * CLUSTER, clusters, backingName: 'base' }).bytes);
    const base = new RecordingSource(noiseOf(1, 2 * CLUSTER));
    const image = await Qcow2Image.open(source, { resolve: async () => ({ source: base, format: 'raw' }) });
    source.calls.length = 0;
    base.calls.length = 0;
    expect(hex(await image.digest('SHA-256'))).toBe(hashOf(new Uint8Array(2 * CLUSTER)));
    expect(source.calls.flat()).toHaveLength(1);
    expect(base.calls).toEqual([]);
  });

  it('comes in large reads: 1 MiB of data each, of one run or of many with holes between', async () => {
    for (const step of [1, 2]) {
      const { bytes, guest } = imageOf(step * 4 * MIB + CLUSTER, every(step, 4 * 16 + 1));
      const source = new RecordingSource(bytes);
      const image = await Qcow2Image.open(source);
      source.calls.length = 0;
      expect(hex(await image.digest('SHA-256', { createHash: nodeHash }))).toBe(hashOf(guest));
      const reads = source.calls.slice(1).map((call) => call.reduce((sum, { length }) => sum + length, 0));
      expect(reads, `every ${step}`).toEqual([MIB, MIB, MIB, MIB, CLUSTER]);
    }
  });

  it('is read one ahead, so that an asynchronous source reads while bytes are hashed', async () => {
    const { bytes, guest } = imageOf(4 * MIB, every(1, 64));
    const source = new RecordingSource(bytes, { asynchronous: true });
    const image = await Qcow2Image.open(source);
    source.calls.length = 0;
    // Calls of the source when each piece is hashed: the table, the piece itself, and the one after it.
    const seen: number[] = [];
    const counting: DigestOptions['createHash'] = (algorithm) => {
      const hash = nodeHash(algorithm);
      return {
        update: (piece) => {
          seen.push(source.calls.length);
          hash.update(piece);
        },
        digest: () => hash.digest(),
      };
    };
    expect(hex(await image.digest('SHA-256', { createHash: counting }))).toBe(hashOf(guest));
    expect(seen).toEqual([3, 4, 5, 5]);
  });

  it('is refused as by a read', async () => {
    const clusters = new Map<number, Cell>([[0, { kind: 'data', bytes: noiseOf(1, CLUSTER) }]]);
    const image = await Qcow2Image.open(buildImage({ size: 2 * CLUSTER, clusters, backingName: 'gone' }).bytes);
    await expect(image.digest('SHA-256')).rejects.toMatchObject({ code: 'reference-refused' });
    const source = new RecordingSource(imageOf(4 * MIB, every(1, 64)).bytes, { asynchronous: true });
    const failing = await Qcow2Image.open(source);
    await failing.read(0, 1);
    source.failure = new Error('broken');
    await expect(failing.digest('SHA-256')).rejects.toThrow('broken');
  });
});

describe('hashes', () => {
  it('are those of node:crypto and of @noble/hashes alike, for both algorithms and odd sizes', async () => {
    for (const size of [0, 512, 3 * CLUSTER + 512, 3 * MIB - 512]) {
      const { bytes, guest } = imageOf(size, size > CLUSTER ? [0, 2] : []);
      const image = await Qcow2Image.open(bytes);
      for (const [algorithm, name] of [
        ['SHA-1', 'sha1'],
        ['SHA-256', 'sha256'],
      ] as const) {
        const expected = createHash(name).update(guest).digest('hex');
        const digests = [await image.digest(algorithm), await image.digest(algorithm, { createHash: nodeHash })];
        expect(digests.map(hex), `${algorithm} of ${size} bytes`).toEqual([expected, expected]);
        // Memory of its own, and no Buffer.
        expect(digests.map((digest) => digest.constructor)).toEqual([Uint8Array, Uint8Array]);
        expect(digests.map(({ buffer, length }) => buffer.byteLength - length)).toEqual([0, 0]);
      }
    }
  });

  it('of node:crypto itself fit the option', async () => {
    const { bytes, guest } = imageOf(CLUSTER, [0]);
    const image = await Qcow2Image.open(bytes);
    const digest = await image.digest('SHA-256', { createHash: () => createHash('sha512') });
    expect(hex(digest)).toBe(createHash('sha512').update(guest).digest('hex'));
  });

  it('of other algorithms are a TypeError, before anything is read', async () => {
    const source = new RecordingSource(imageOf(CLUSTER, [0]).bytes);
    const image = await Qcow2Image.open(source);
    source.calls.length = 0;
    for (const algorithm of ['sha256', 'MD5', '', undefined]) {
      const options = { createHash: () => createHash('sha256') };
      await expect(image.digest(algorithm as 'SHA-1', options)).rejects.toThrow(TypeError);
    }
    expect(source.calls).toEqual([]);
  });
});

describe('progress', () => {
  it('counts guest bytes, rises to the end, and fails the digest when it throws', async () => {
    const { bytes } = imageOf(8 * MIB + 512, [0, 100]);
    const image = await Qcow2Image.open(busySource(bytes));
    const told: number[] = [];
    await image.digest('SHA-1', {
      onProgress: ({ phase, done, total }) => {
        expect([phase, total]).toEqual(['digest', image.size]);
        told.push(done);
      },
    });
    expect(told.length).toBeGreaterThan(1);
    expect(told.at(-1)).toBe(image.size);
    expect([...told].sort((a, b) => a - b)).toEqual(told);
    const thrown = new Error('enough');
    const throwing = (): never => {
      throw thrown;
    };
    await expect(image.digest('SHA-1', { onProgress: throwing })).rejects.toBe(thrown);
  });
});

describe('the end', () => {
  it('rejects with the reason of an abort, before the start and between the reads of a busy source', async () => {
    const source = busySource(imageOf(8 * MIB, every(1, 128)).bytes);
    const image = await Qcow2Image.open(source);
    const reason = { enough: true };
    source.reads = 0;
    await expect(image.digest('SHA-256', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(source.reads).toBe(0);
    const empty = await Qcow2Image.open(imageOf(0, []).bytes);
    await expect(empty.digest('SHA-256', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    // A timer: it fires only if the digest yields.
    setTimeout(() => controller.abort(reason), 0);
    await expect(image.digest('SHA-256', { signal: controller.signal })).rejects.toBe(reason);
    expect(source.reads).toBeLessThan(6);
  });

  it.each([1, 2])('comes with an abort while read %i, of a table or of data, is waited for', async (waiting) => {
    const memory = new RecordingSource(imageOf(CLUSTER, [0]).bytes);
    const controller = new AbortController();
    const reason = { enough: true };
    let reads = Number.NEGATIVE_INFINITY;
    const source: ByteSource = {
      size: memory.size,
      async read(transfers, signal) {
        memory.read(transfers);
        if (++reads !== waiting) return;
        setTimeout(() => controller.abort(reason), 0);
        await new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));
      },
    };
    const image = await Qcow2Image.open(source);
    reads = 0;
    await expect(image.digest('SHA-256', { signal: controller.signal })).rejects.toBe(reason);
    expect(reads).toBe(waiting);
  });

  it('comes with an abort among zeros, too, of which a disk can have any number', async () => {
    const image = await Qcow2Image.open(buildImage({ size: 2 ** 30 }).bytes);
    const signal = AbortSignal.timeout(50);
    await expect(image.digest('SHA-256', { signal })).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  it('comes when the image is closed, also of the image of a snapshot', async () => {
    const extra = new Uint8Array(16);
    new DataView(extra.buffer).setBigUint64(8, 2n ** 30n);
    const { bytes } = buildImage({ size: 2 ** 30, snapshots: [{ id: '1', name: 'a', extra }] });
    for (const viewed of [false, true]) {
      const image = await Qcow2Image.open(bytes);
      const disk = viewed ? await image.openSnapshot('1') : image;
      const digest = disk.digest('SHA-256');
      setTimeout(() => image.close(), 20);
      await expect(digest).rejects.toMatchObject({ code: 'closed' });
      await expect(disk.digest('SHA-256')).rejects.toMatchObject({ code: 'closed' });
    }
  });

  it('rejects once when the read ahead fails after the digest, and leaves no rejection unhandled', async () => {
    const memory = new RecordingSource(imageOf(4 * MIB, every(1, 64)).bytes);
    let reads = Number.NEGATIVE_INFINITY;
    const source: ByteSource = {
      size: memory.size,
      async read(transfers) {
        memory.read(transfers);
        if (++reads < 2) return;
        await new Promise((resolve) => setTimeout(resolve, 20));
        throw new Error('of the source');
      },
    };
    const image = await Qcow2Image.open(source);
    await image.read(0, 1);
    reads = 0;
    const thrown = new Error('of the hash');
    const update = (): never => {
      throw thrown;
    };
    const digest = image.digest('SHA-256', { createHash: () => ({ update, digest: () => new Uint8Array(0) }) });
    await expect(digest).rejects.toBe(thrown);
    expect(reads).toBe(2);
    await new Promise((resolve) => setTimeout(resolve, 50));
  });
});

describe('an image that is written', () => {
  it('has the digest of what was written, flushed or not', async () => {
    const image = await Qcow2Image.create(bufferDevice(), { size: 4 * MIB });
    const guest = new Uint8Array(4 * MIB);
    guest.set(noiseOf(7, 100_000), 12_345);
    await image.write(12_345, noiseOf(7, 100_000));
    expect(hex(await image.digest('SHA-256'))).toBe(hashOf(guest));
    await image.writeZeroes(20_000, 50_000);
    guest.fill(0, 20_000, 70_000);
    expect(hex(await image.digest('SHA-256'))).toBe(hashOf(guest));
    await image.close();
  });

  it('is written on meanwhile: nothing waits for the digest', async () => {
    const image = await Qcow2Image.create(bufferDevice(), { size: 2 ** 40 });
    let ended = false;
    let onProgress = () => {};
    const started = new Promise<void>((resolve) => {
      onProgress = resolve;
    });
    const digest = image.digest('SHA-256', { onProgress }).finally(() => {
      ended = true;
    });
    digest.catch(() => {});
    await started;
    for (let at = 0; at < 20; at++) {
      await image.write(at * MIB, noiseOf(at, CLUSTER));
      await image.flush();
    }
    expect(ended).toBe(false);
    await image.close();
    await expect(digest).rejects.toMatchObject({ code: 'closed' });
  });
});
