/** WorkerImage through the real worker: reads, extents, seeks, streams, aborts, and what happens after closing. */
import { type Extent, isQcow2Error, type Progress, Qcow2Error, Qcow2Image } from 'qcow2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openStore, type Store } from '../src/index.js';
import {
  CLUSTER,
  corruptImage,
  emptyImage,
  mixedImage,
  repeatedImage,
  scatteredImage,
  type TestImage,
} from './support/images.js';
import { clearStorage, firstDifference } from './support/opfs.js';
import { errorOf } from './support/outcomes.js';

let store: Store;
let mixed: TestImage;
beforeAll(async () => {
  store = await openStore();
  mixed = await mixedImage();
});
afterAll(() => store.close());

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe('open', () => {
  test('resolves with size and info', async () => {
    const image = await store.openFile(mixed.file);
    expect(image.size).toBe(mixed.guest.length);
    expect(image.info).toMatchObject({
      virtualSize: mixed.guest.length,
      clusterSize: CLUSTER,
      fileSize: mixed.file.size,
    });
    expect(image.snapshots).toEqual([]);
    expect(image.bitmaps).toEqual([]);
    await image.close();
  });

  test('of a file that is not an image rejects with class and code of the error', async () => {
    const error = await errorOf(store.openFile(new Blob(['KDMV and then some'])));
    expect(error).toBeInstanceOf(Qcow2Error);
    expect(isQcow2Error(error, 'not-qcow2')).toBe(true);
  });

  test('of a value that is not a Blob is a TypeError', async () => {
    expect(await errorOf(store.openFile('disk.qcow2' as unknown as Blob))).toBeInstanceOf(TypeError);
  });
});

describe('read', () => {
  test('fills the buffer and never detaches it', async () => {
    const image = await store.openFile(mixed.file);
    const whole = new Uint8Array(mixed.guest.length);
    for (let round = 0; round < 3; round++) {
      whole.fill(0xee);
      await image.read(0, whole);
      expect(whole.length).toBe(mixed.guest.length);
      expect(firstDifference(whole, mixed.guest)).toBe(-1);
    }
    await image.close();
  });

  test('changes only its part of a larger buffer', async () => {
    const image = await store.openFile(mixed.file);
    const large = new Uint8Array(300).fill(0xee);
    await image.read(6 * CLUSTER - 50, large.subarray(100, 200));
    expect(firstDifference(large.subarray(100, 200), mixed.guest.subarray(6 * CLUSTER - 50, 6 * CLUSTER + 50))).toBe(
      -1,
    );
    expect(large.subarray(0, 100).every((byte) => byte === 0xee)).toBe(true);
    expect(large.subarray(200).every((byte) => byte === 0xee)).toBe(true);
    await image.close();
  });

  test('fills a view of shared memory in the worker: data, zeros and inflated bytes', async () => {
    expect(crossOriginIsolated).toBe(true);
    const image = await store.openFile(mixed.file);
    const shared = new Uint8Array(new SharedArrayBuffer(mixed.guest.length + 20), 10, mixed.guest.length).fill(0xee);
    await image.read(0, shared);
    expect(firstDifference(shared, mixed.guest)).toBe(-1);
    await image.close();
  });

  test('in a batch: many transfers in one message, shared and not', async () => {
    const image = await store.openFile(mixed.file);
    const places = [0, 6 * CLUSTER + 5, 3 * CLUSTER, 9 * CLUSTER - 100, mixed.guest.length - 512];
    const transfers = places.map((at, index) => ({
      at,
      bytes: new Uint8Array(index === 3 ? new SharedArrayBuffer(512) : new ArrayBuffer(512)),
    }));
    await image.readBatch([...transfers, { at: 0, bytes: new Uint8Array(0) }]);
    for (const { at, bytes } of transfers) {
      expect(firstDifference(bytes, mixed.guest.subarray(at, at + 512))).toBe(-1);
    }
    await image.readBatch([]);
    await image.close();
  });

  test('many concurrent ones, of many lengths, each with its own bytes', async () => {
    const image = await store.openFile(mixed.file);
    const jobs = Array.from({ length: 200 }, (_, i) => ({
      at: (i * 7919 * 13) % (mixed.guest.length - 90_000),
      into: new Uint8Array(1 + ((i * 6151) % 90_000)),
    }));
    await Promise.all(jobs.map(({ at, into }) => image.read(at, into)));
    for (const { at, into } of jobs) {
      expect(firstDifference(into, mixed.guest.subarray(at, at + into.length))).toBe(-1);
    }
    await image.close();
  });

  test('outside the disk: rejects with class and code of the error', async () => {
    const image = await store.openFile(mixed.file);
    const error = await errorOf(image.read(mixed.guest.length - 10, new Uint8Array(11)));
    expect(error).toBeInstanceOf(Qcow2Error);
    expect(isQcow2Error(error, 'out-of-range')).toBe(true);
    expect(await errorOf(image.read(-1, new Uint8Array(1)))).toBeInstanceOf(RangeError);
    expect(await errorOf(image.read(0, new ArrayBuffer(8) as unknown as Uint8Array))).toBeInstanceOf(TypeError);
    await image.close();
  });

  test('of a damaged table: rejects with code and details', async () => {
    const image = await store.openFile(corruptImage());
    const error = await errorOf(image.read(0, new Uint8Array(512)));
    expect(isQcow2Error(error, 'corrupt')).toBe(true);
    const { details } = error as Qcow2Error;
    expect(details.what).toEqual(expect.any(String));
    expect(details.at).toEqual(expect.any(Number));
    await image.close();
  });

  test('aborted before and during: rejects with the same reason object, and the image stays usable', async () => {
    const { file, size, cluster } = repeatedImage(1024);
    const image = await store.openFile(file);
    const reason = { mine: true };
    expect(await errorOf(image.read(0, new Uint8Array(10), { signal: AbortSignal.abort(reason) }))).toBe(reason);

    for (const memory of [new ArrayBuffer(size), new SharedArrayBuffer(size)]) {
      const controller = new AbortController();
      const reading = errorOf(image.read(0, new Uint8Array(memory), { signal: controller.signal }));
      controller.abort(reason);
      expect(await reading).toBe(reason);
    }
    const into = new Uint8Array(CLUSTER);
    await image.read(5 * CLUSTER, into);
    expect(firstDifference(into, cluster)).toBe(-1);
    await image.close();
  });
});

describe('map', () => {
  test('returns where every byte is stored', async () => {
    const image = await store.openFile(mixed.file);
    const extents = await collect(image.map());
    const kinds = extents.map(({ start, length, present, zero, data, compressed }) => ({
      clusters: [start / CLUSTER, (start + length) / CLUSTER],
      kind: compressed ? 'compressed' : data ? 'data' : present && zero ? 'zero' : 'hole',
    }));
    expect(kinds).toEqual([
      { clusters: [0, 2], kind: 'data' },
      { clusters: [2, 4], kind: 'hole' },
      { clusters: [4, 5], kind: 'zero' },
      { clusters: [5, 6], kind: 'hole' },
      { clusters: [6, 7], kind: 'compressed' },
      { clusters: [7, 9], kind: 'hole' },
      { clusters: [9, 10], kind: 'data' },
      { clusters: [10, 16 - 512 / CLUSTER], kind: 'hole' },
    ]);
    expect(extents.filter((extent) => extent.offset !== undefined).map((extent) => extent.start / CLUSTER)).toContain(
      0,
    );
    expect(extents[1]).not.toHaveProperty('offset');
    await image.close();
  });

  test('accepts a range', async () => {
    const image = await store.openFile(mixed.file);
    const extents = await collect(image.map({ start: CLUSTER + 100, length: CLUSTER }));
    expect(extents.map(({ start, length, data }) => [start, length, data])).toEqual([
      [CLUSTER + 100, CLUSTER - 100, true],
      [2 * CLUSTER, 100, false],
    ]);
    await image.close();
  });

  test('is sent in packets: 12,000 extents in order', async () => {
    const { file } = scatteredImage(6000);
    const image = await store.openFile(file);
    const extents = await collect(image.map());
    expect(extents.length).toBe(12_000);
    const wrong = extents.findIndex((e, i) => e.start !== i * 512 || e.length !== 512 || e.data !== (i % 2 === 0));
    expect(wrong).toBe(-1);
    await image.close();
  });

  test('can be left early repeatedly, and next can be called concurrently', async () => {
    const { file } = scatteredImage(6000);
    const image = await store.openFile(file);
    for (let round = 0; round < 20; round++) {
      for await (const extent of image.map()) if (extent.start > 100_000) break;
    }
    const iterator = image.map();
    const results = await Promise.all(Array.from({ length: 5000 }, () => iterator.next()));
    expect(results.findIndex((result, i) => (result.value as Extent).start !== i * 512)).toBe(-1);
    expect(await iterator.return?.()).toEqual({ done: true, value: undefined });
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
    await image.close();
  });

  test('aborted in the middle rejects with the same reason object', async () => {
    const { file } = scatteredImage(20_000);
    const image = await store.openFile(file);
    const controller = new AbortController();
    const reason = new Error('enough');
    let seen = 0;
    const mapping = (async () => {
      for await (const _ of image.map(undefined, { signal: controller.signal })) {
        if (++seen === 5000) controller.abort(reason);
      }
    })();
    expect(await errorOf(mapping)).toBe(reason);
    expect(seen).toBeLessThan(40_000);
    await image.close();
  });

  test('rejects with the error of a progress callback', async () => {
    const { file } = scatteredImage(6000);
    const image = await store.openFile(file);
    const mine = new Error('from the callback');
    const onProgress = (): void => {
      throw mine;
    };
    expect(await errorOf(collect(image.map(undefined, { onProgress })))).toBe(mine);
    await image.close();
  });
});

test('seekData and seekHole find the borders', async () => {
  const image = await store.openFile(mixed.file);
  expect(await image.seekHole(10)).toBe(2 * CLUSTER);
  expect(await image.seekData(2 * CLUSTER)).toBe(6 * CLUSTER);
  expect(await image.seekHole(6 * CLUSTER)).toBe(7 * CLUSTER);
  expect(await image.seekData(10 * CLUSTER)).toBeUndefined();
  await image.close();
});

describe('check', () => {
  test('counts in the worker, and reports progress', async () => {
    const image = await store.openFile(mixed.file);
    const seen: number[] = [];
    const report = await image.check({ onProgress: ({ done }) => seen.push(done) });
    expect(report).toMatchObject({ corruptions: 0, leaks: 0, checkErrors: 0 });
    expect(report.allocatedClusters).toBeGreaterThan(0);
    expect(seen.at(-1)).toBeGreaterThanOrEqual(image.size);
    await image.close();
  });

  test('ends with the reason of an abort', async () => {
    const image = await store.openFile(repeatedImage(65_536).file);
    const controller = new AbortController();
    const checking = image.check({ signal: controller.signal });
    controller.abort('enough');
    expect(await errorOf(checking)).toBe('enough');
    await image.close();
  });
});

describe('digest', () => {
  test('hashes in the worker, and reports on the way', async () => {
    const image = await store.openFile(mixed.file);
    for (const algorithm of ['SHA-1', 'SHA-256'] as const) {
      const reports: Progress[] = [];
      const hash = await image.digest(algorithm, { onProgress: (progress) => reports.push(progress) });
      expect(hash).toEqual(new Uint8Array(await crypto.subtle.digest(algorithm, mixed.guest)));
      expect(reports.at(-1)).toEqual({ phase: 'digest', done: image.size, total: image.size });
    }
    await image.close();
  });

  test('of a disk that is written: what was written is hashed', async () => {
    await clearStorage();
    const image = await store.create('hashed', { size: 2 ** 20 });
    const guest = new Uint8Array(2 ** 20);
    guest.set(mixed.guest.subarray(0, 100_000), 12_345);
    await image.write(12_345, mixed.guest.slice(0, 100_000));
    expect(await image.digest('SHA-256')).toEqual(new Uint8Array(await crypto.subtle.digest('SHA-256', guest)));
    await image.close();
    await clearStorage();
  });

  test('ends with the reason of an abort, also among zeros without end, and the image goes on', async () => {
    const image = await store.openFile(emptyImage(2 ** 40));
    const reason = { mine: true };
    expect(await errorOf(image.digest('SHA-256', { signal: AbortSignal.abort(reason) }))).toBe(reason);
    const controller = new AbortController();
    const onProgress = () => controller.abort(reason);
    expect(await errorOf(image.digest('SHA-256', { signal: controller.signal, onProgress }))).toBe(reason);
    expect(await image.read(0, 1)).toEqual(new Uint8Array(1));
    await image.close();
  });

  test('refuses another algorithm, and a function in its options, which cannot cross', async () => {
    const image = await store.openFile(mixed.file);
    expect(await errorOf(image.digest('MD5' as 'SHA-1'))).toBeInstanceOf(TypeError);
    const createHash = () => ({ update: () => {}, digest: () => new Uint8Array(0) });
    // @ts-expect-error: the option is the engine's alone
    const refusal = await errorOf(image.digest('SHA-256', { createHash }));
    expect(refusal).toBeInstanceOf(TypeError);
    expect((refusal as TypeError).message).toContain('"createHash"');
    await image.close();
  });
});

describe('readable', () => {
  test('streams the guest bytes, whole and in a range', async () => {
    const image = await store.openFile(mixed.file);
    const whole = new Uint8Array(await new Response(image.readable()).arrayBuffer());
    expect(firstDifference(whole, mixed.guest)).toBe(-1);
    const part = new Uint8Array(await new Response(image.readable({ start: 1000, length: 7 * CLUSTER })).arrayBuffer());
    expect(firstDifference(part, mixed.guest.subarray(1000, 1000 + 7 * CLUSTER))).toBe(-1);
    await image.close();
  });

  test("is a byte stream: fills a reader's own buffer, and returns it at the end", async () => {
    const image = await store.openFile(mixed.file);
    const reader = image.readable({ start: 0, length: 1000 }).getReader({ mode: 'byob' });
    const read: number[] = [];
    for (;;) {
      const { done, value } = await reader.read(new Uint8Array(300));
      if (done) break;
      read.push(...value);
    }
    expect(read).toEqual([...mixed.guest.subarray(0, 1000)]);
    await image.close();
  });

  test('cancelled or unread, does not delay close', async () => {
    const { file } = repeatedImage(1024);
    const image = await store.openFile(file);
    const reader = image.readable().getReader();
    await reader.read();
    await reader.cancel();
    const abandoned = image.readable().getReader();
    await abandoned.read();
    await image.close();
    expect(isQcow2Error(await errorOf(drain(abandoned)), 'closed')).toBe(true);
  });

  test('aborted, errors with the same reason object', async () => {
    const { file } = repeatedImage(1024);
    const image = await store.openFile(file);
    const controller = new AbortController();
    const reader = image.readable(undefined, { signal: controller.signal }).getReader();
    await reader.read();
    controller.abort('a reason');
    expect(await errorOf(drain(reader))).toBe('a reason');
    await image.close();
  });

  test('of an invalid range throws synchronously, as in the engine', async () => {
    const image = await store.openFile(mixed.file);
    const engine = await Qcow2Image.open(mixed.file);
    for (const range of [
      { start: mixed.guest.length, length: 1 },
      { start: -1, length: 1 },
      { start: 0, length: 0.5 },
    ]) {
      const [ours, theirs] = [image, engine].map((disk) => thrownBy(() => disk.readable(range)));
      expect(theirs).toBeInstanceOf(Error);
      expect(ours).toEqual(theirs);
    }
    await engine.close();
    await image.close();
  });
});

function thrownBy(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error;
  }
}

async function drain(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  while (!(await reader.read()).done);
}

test('stats returns the counters of the engine', async () => {
  const image = await store.openFile(mixed.file);
  const before = await image.stats();
  await image.read(0, new Uint8Array(mixed.guest.length));
  const after = await image.stats();
  expect(after.inflatedClusters - before.inflatedClusters).toBe(1);
  expect(after.deviceReads).toBeGreaterThan(before.deviceReads);
  await image.close();
});

describe('close', () => {
  test('may be called twice, and every later call rejects with closed', async () => {
    const image = await store.openFile(mixed.file);
    await Promise.all([image.close(), image.close()]);
    await image.close();
    const calls = [
      image.read(0, new Uint8Array(1)),
      image.readBatch([]),
      image.seekData(0),
      image.seekHole(0),
      image.stats(),
      collect(image.map()),
      drain(image.readable().getReader()),
      image.temporaryExport({ format: 'raw' }),
    ].map(errorOf);
    for (const error of await Promise.all(calls)) expect(isQcow2Error(error, 'closed')).toBe(true);
  });

  test('while extents are being read rejects the read with closed', async () => {
    const { file } = scatteredImage(20_000);
    const image = await store.openFile(file);
    const iterator = image.map();
    await iterator.next();
    await image.close();
    const error = await errorOf(
      (async () => {
        while (!(await iterator.next()).done);
      })(),
    );
    expect(isQcow2Error(error, 'closed')).toBe(true);
  });

  test('of one image leaves the others open', async () => {
    const [one, other] = [await store.openFile(mixed.file), await store.openFile(emptyImage(1 << 20))];
    await one.close();
    const into = new Uint8Array(10).fill(1);
    await other.read(0, into);
    expect([...into]).toEqual(new Array(10).fill(0));
    await other.close();
  });

  test('is called at the end of `await using`, where the platform has it', async () => {
    const image = await store.openFile(mixed.file);
    if (typeof Symbol.asyncDispose === 'symbol') await image[Symbol.asyncDispose]();
    else await image.close();
    expect(isQcow2Error(await errorOf(image.stats()), 'closed')).toBe(true);
    expect('undefined' in image).toBe(false);
  });
});
