/** Owns the tests of what happens to the caller's buffers once a read has rejected: nothing. */
import { describe, expect, it } from 'vitest';
import {
  asyncBufferSource,
  type ByteSource,
  blobSource,
  httpSource,
  pmtilesSource,
  withCache,
  withCoalescing,
} from '../../src/index.js';
import { noiseOf } from '../support/numbers.js';

const KIB = 1024;
const MIB = 1024 * KIB;
/** Where the bytes begin that cannot be read. */
const BAD = 4 * MIB;
const LATE_MS = 60;

const content = noiseOf(3, 12 * MIB);
const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** What comes of bytes that are asked for; `start` of a slice decides. */
type Arrive = (start: number, end: number) => Promise<void>;

/** The slice with the bad byte fails at once, the others are late. */
const oneFails: Arrive = async (start, end) => {
  if (start <= BAD && BAD < end) throw new Error('The bytes cannot be read.');
  await wait(LATE_MS);
};

/** A Blob of the platform whose slices arrive as they are told to. */
function arriving(arrive: Arrive): Blob {
  const real = new Blob([content]);
  const slice = (start: number, end: number): Partial<Blob> => ({
    size: end - start,
    async arrayBuffer() {
      await arrive(start, end);
      return real.slice(start, end).arrayBuffer();
    },
    stream() {
      const reader = real.slice(start, end).stream().getReader();
      return new ReadableStream<Uint8Array<ArrayBuffer>>({
        async pull(controller) {
          await arrive(start, end);
          const { done, value } = await reader.read();
          if (done) controller.close();
          else controller.enqueue(value);
        },
      });
    },
  });
  return { size: real.size, slice, arrayBuffer: () => real.arrayBuffer() } as unknown as Blob;
}

function asyncBuffer(arrive: Arrive): ByteSource {
  return asyncBufferSource({
    byteLength: content.length,
    async slice(start, end) {
      await arrive(start, end);
      return content.slice(start, end).buffer;
    },
  });
}

function pmtiles(arrive: Arrive): ByteSource {
  const source = {
    getKey: () => 'tiles',
    async getBytes(at: number, length: number) {
      await arrive(at, at + length);
      return { data: content.slice(at, at + length).buffer };
    },
  };
  return pmtilesSource(source, content.length);
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
}

/** A web server: the first request opens the file, and the others arrive as they are told to. */
function server(arrive: Arrive): Promise<ByteSource> {
  let opened = false;
  const fetch = async (_: string, init: RequestInit): Promise<Response> => {
    const [, first, last] = /bytes=(\d+)-(\d+)/.exec(new Headers(init.headers).get('range')!)!;
    const [start, end] = [Number(first), Number(last) + 1];
    // It honours the signal, as `httpSource` asks of it.
    if (opened) await Promise.race([arrive(start, end), aborted(init.signal!)]);
    opened = true;
    const headers = { 'Content-Range': `bytes ${start}-${end - 1}/${content.length}`, ETag: '"1"' };
    return new Response(content.slice(start, end), { status: 206, headers });
  };
  return httpSource('http://files.test/disk', { fetch, retries: 0 });
}

const SOURCES: Record<string, (arrive: Arrive) => ByteSource | Promise<ByteSource>> = {
  'a Blob': (arrive) => blobSource(arriving(arrive)),
  'a web server': server,
  'an AsyncBuffer': asyncBuffer,
  'an archive of pmtiles': pmtiles,
  'a cache': (arrive) => withCache(asyncBuffer(arrive)),
  'a cache over a Blob': (arrive) => withCache(blobSource(arriving(arrive))),
  withCoalescing: (arrive) => withCoalescing(asyncBuffer(arrive), { gap: 0, longest: 64 * KIB }),
  'a cache over withCoalescing': (arrive) =>
    withCache(withCoalescing(asyncBuffer(arrive), { gap: 0, longest: 64 * KIB })),
};

/** Batches that touch the bad byte and others: in small parts, through blocks, and past every cache. */
const BATCHES: Record<string, readonly (readonly [at: number, length: number])[]> = {
  'two blocks': [[BAD - 20 * KIB, 60 * KIB]],
  'small buffers': [
    [BAD - MIB, 4 * KIB],
    [BAD, 4 * KIB],
    [BAD + MIB, 4 * KIB],
  ],
  'two buffers': [
    [0, 200 * KIB],
    [BAD, 200 * KIB],
  ],
  'one large buffer': [[0, 12 * MIB]],
};

function unchanged(buffers: readonly Uint8Array[]): boolean {
  return buffers.every((bytes) => bytes.every((byte) => byte === 0x11));
}

/** Runs the suite in the current runtime. */
export function rejectedReadsSuite(): void {
  describe.each(Object.entries(SOURCES))('the buffers of a read of %s', (_, make) => {
    it.each(Object.entries(BATCHES))('are not changed after one part has failed: %s', async (_, batch) => {
      const source = await make(oneFails);
      const buffers = batch.map(([, length]) => new Uint8Array(length));
      const reading = async () => source.read(batch.map(([at], index) => ({ at, bytes: buffers[index]! })));
      await expect(reading()).rejects.toMatchObject({ name: 'Qcow2Error' });
      for (const bytes of buffers) bytes.fill(0x11);
      await wait(5 * LATE_MS);
      expect(unchanged(buffers)).toBe(true);
    });

    it.each(Object.entries(BATCHES))('are not changed after the source was closed: %s', async (_, batch) => {
      const late: (() => void)[] = [];
      const source = await make(() => new Promise((resolve) => late.push(resolve)));
      const buffers = batch.map(([, length]) => new Uint8Array(length));
      const reading = Promise.resolve(source.read(batch.map(([at], index) => ({ at, bytes: buffers[index]! }))));
      const rejected = expect(reading).rejects.toMatchObject({ code: 'closed' });
      await wait(10);
      await source.close?.();
      await rejected;
      for (const bytes of buffers) bytes.fill(0x11);
      // Chunks of a stream are asked for one after the other.
      for (let round = 0; round < 5; round++) {
        for (const arrive of late.splice(0)) arrive();
        await wait(10);
      }
      expect(unchanged(buffers)).toBe(true);
    });
  });
}
