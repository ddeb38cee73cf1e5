/** Dehydrating as a stream: of an image that is written, how it ends early, and how much memory it takes. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { bufferDevice, type Progress, Qcow2Image, rehydrate } from '../../src/index.js';
import { RangeSet } from '../../src/verbs/dehydrate/range-set.js';
import { dehydrated, dehydratedOf, recordsIn, rehydrated, unpacked } from '../support/dehydrated.js';
import { buildImage, filled } from '../support/image-builder.js';
import { noiseOf, numbers } from '../support/numbers.js';
import { RecordingSource } from '../support/recording-source.js';
import { SlowDevice } from '../support/slow-device.js';

const MIB = 2 ** 20;
const SOUND = { corruptions: 0, leaks: 0, checkErrors: 0, extra: 0 };

/** An image whose dehydrated file takes many chunks, and hardly shrinks: its tables are full of different numbers. */
async function large(): Promise<Qcow2Image> {
  const size = 4 * 2 ** 30;
  return Qcow2Image.create(bufferDevice(), { size, clusterSize: 4096, preallocation: 'metadata' });
}

/** A reader that has read the first chunk. */
async function started(image: Qcow2Image, signal?: AbortSignal): Promise<ReadableStreamDefaultReader<Uint8Array>> {
  const reader = image.dehydrate({ signal }).getReader();
  expect((await reader.read()).done).toBe(false);
  return reader;
}

/** Resolves when the image is read no more: the compressor waits for its consumer. */
async function waiting(image: Qcow2Image): Promise<void> {
  const reads = async (): Promise<number> => (await image.stats()).deviceReads;
  for (let before = -1; before !== (await reads()); ) {
    before = await reads();
    await sleep(100);
  }
}

async function drained(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  while (!(await reader.read()).done);
}

describe('an image that is open for writing', () => {
  async function slow(): Promise<Qcow2Image> {
    const device = bufferDevice();
    await (await Qcow2Image.create(device, { size: 8 * MIB, clusterSize: 4096 })).close();
    const next = numbers(5);
    return Qcow2Image.open(new SlowDevice(device, () => next() % 7), { mode: 'readwrite' });
  }

  it('is flushed first, and what is in the file belongs together', async () => {
    const image = await slow();
    await image.write(0, noiseOf(1, MIB));
    const under: Promise<void>[] = [];
    // The metadata are being read when it first reports.
    const onProgress = () => {
      if (under.length > 0) return;
      under.push(image.write(2 * MIB, noiseOf(2, MIB)), image.discard(0, MIB / 2), image.flush());
    };
    const again = await Qcow2Image.open(await rehydrated(await dehydratedOf(image, { onProgress })));
    expect(under).toHaveLength(3);
    expect(await again.check()).toMatchObject(SOUND);
    await Promise.all(under);
    expect((await again.check()).allocatedClusters).toBe(MIB / 4096);
    await image.close();
  });

  it('holds its changes until the stream ends, is cancelled or aborted', async () => {
    const abort = new AbortController();
    const reason = new Error('enough');
    for (const end of [
      (reader: ReadableStreamDefaultReader<Uint8Array>) => drained(reader),
      (reader: ReadableStreamDefaultReader<Uint8Array>) => reader.cancel(),
      async () => abort.abort(reason),
    ]) {
      const image = await large();
      const reader = await started(image, abort.signal);
      const done: string[] = [];
      const writing = image.write(0, noiseOf(1, 4096)).then(() => done.push('write'));
      for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
      expect(done).toEqual([]);
      await end(reader);
      await writing;
      await image.close();
    }
  });

  it('is closed at once, and the stream errors with closed', async () => {
    const image = await large();
    const reader = await started(image);
    await image.close();
    await expect(drained(reader)).rejects.toMatchObject({ code: 'closed' });
  });
});

describe('a stream that ends early', () => {
  it('errors with the very reason of an abort, whatever it is', async () => {
    for (const reason of [new Error('enough'), { enough: true }, 'enough']) {
      const image = await large();
      const abort = new AbortController();
      const reader = await started(image, abort.signal);
      abort.abort(reason);
      await expect(drained(reader)).rejects.toBe(reason);
      const before = image.dehydrate({ signal: AbortSignal.abort(reason) }).getReader();
      await expect(before.read()).rejects.toBe(reason);
    }
  });

  it('can be cancelled while it waits for its consumer', async () => {
    const device = bufferDevice();
    await (await Qcow2Image.create(device, { size: 2 ** 30, clusterSize: 512, preallocation: 'metadata' })).close();
    const image = await Qcow2Image.open(device);
    const reader = await started(image);
    await waiting(image);
    await reader.cancel();
    await image.close();
  });

  it('errors with the error of the source', async () => {
    const source = new RecordingSource(buildImage({ clusters: new Map([[0, filled(1)]]) }).bytes);
    const image = await Qcow2Image.open(source);
    source.failure = new Error('unplugged');
    await expect(image.dehydrate().getReader().read()).rejects.toBe(source.failure);
  });

  it('errors with what the progress callback throws', async () => {
    const image = await large();
    const thrown = new Error('thrown');
    const onProgress = ({ phase }: Progress): void => {
      if (phase === 'dehydrate') throw thrown;
    };
    await expect(drained(image.dehydrate({ onProgress }).getReader())).rejects.toBe(thrown);
  });

  it('errors with closed when an image that is only read is closed', async () => {
    const device = bufferDevice();
    await (await Qcow2Image.create(device, { size: 2 ** 30, clusterSize: 512, preallocation: 'metadata' })).close();
    const image = await Qcow2Image.open(device);
    const reader = await started(image);
    await image.close();
    await expect(drained(reader)).rejects.toMatchObject({ code: 'closed' });
    expect(() => image.dehydrate()).toThrow(expect.objectContaining({ code: 'closed' }));
  });

  it('makes no read after it was cancelled, and none before it is read', async () => {
    const source = new RecordingSource(buildImage({ clusters: new Map([[0, filled(1)]]) }).bytes);
    const image = await Qcow2Image.open(source);
    const calls = source.calls.length;
    const stream = image.dehydrate();
    await new Promise(setImmediate);
    await stream.cancel();
    expect(source.calls.length).toBe(calls);
  });
});

describe('a large image', () => {
  it('of 128 GiB takes memory for what is under way and for counting, not for its 48 MiB of tables', async () => {
    const device = bufferDevice();
    const tables = { extendedL2: true, refcountBits: 64, preallocation: 'metadata' } as const;
    await (await Qcow2Image.create(device, { size: 2 ** 37, ...tables })).close();
    const image = await Qcow2Image.open(device, { cache: { l2Bytes: MIB } });
    const copy = bufferDevice();
    const before = process.memoryUsage().arrayBuffers;
    let maxBytes = 0;
    let bytes = 0;
    const reports: Progress[] = [];
    const stream = image.dehydrate({ onProgress: (progress) => reports.push(progress) }).pipeThrough(
      new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
        transform(chunk, controller) {
          bytes += chunk.length;
          maxBytes = Math.max(maxBytes, process.memoryUsage().arrayBuffers - before);
          controller.enqueue(chunk);
        },
      }),
    );
    const chunks: Uint8Array<ArrayBuffer>[] = [];
    for await (const chunk of stream as unknown as AsyncIterable<Uint8Array<ArrayBuffer>>) chunks.push(chunk);
    // 12 MiB are the counts of a check.
    expect(maxBytes).toBeLessThan(40 * MIB);
    expect(bytes).toBeLessThan(12 * MIB);
    expect(reports.at(-1)).toMatchObject({ phase: 'dehydrate', done: reports.at(-1)!.total });
    expect(reports.at(-1)!.total).toBeGreaterThan(48 * MIB);
    await rehydrate(new Blob(chunks), copy);
    expect(copy.size).toBe(device.size);
  }, 60_000);

  it('of 1 TiB without data gives a few KiB', async () => {
    const device = bufferDevice();
    await (await Qcow2Image.create(device, { size: 2 ** 40 })).close();
    const file = await dehydrated(device.bytes());
    expect(file.length).toBeLessThan(1024);
    expect(recordsIn(await unpacked(file)).length).toBeLessThan(10);
  });
});

describe('a set of ranges', () => {
  it('merges what it is given in any order, as a list of bytes would', () => {
    const next = numbers(3);
    for (let round = 0; round < 10; round++) {
      const set = new RangeSet();
      const bytes = new Uint8Array(4000);
      for (let count = 0; count < 3000; count++) {
        const start = next() % 3900;
        const end = start + (next() % 3 === 0 ? 0 : next() % (1 + (round % 5)));
        set.add(start, end);
        bytes.fill(1, start, end);
      }
      const left = { start: 1000, end: 1200 };
      set.leaveOut(left.start, left.end);
      bytes.fill(0, left.start, left.end);
      const again = new Uint8Array(4000);
      let before = -1;
      for (const { start, end } of set.runs()) {
        expect(start).toBeGreaterThan(before);
        expect(end).toBeGreaterThan(start);
        again.fill(1, start, end);
        before = end;
      }
      expect(again).toEqual(bytes);
      expect(set.total).toBe(bytes.reduce((sum, byte) => sum + byte, 0));
    }
  });

  it('takes no memory for a range that is added again and again', () => {
    const set = new RangeSet();
    const before = process.memoryUsage().arrayBuffers;
    for (let count = 0; count < 1_000_000; count++) set.add((count % 2) * 100, (count % 2) * 100 + 10);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(MIB);
    expect([...set.runs()]).toEqual([
      { start: 0, end: 10 },
      { start: 100, end: 110 },
    ]);
  });
});
