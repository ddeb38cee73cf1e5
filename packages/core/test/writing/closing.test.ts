/**
 * Requests that were started and not awaited when the image is closed, and the order in which requests are carried out.
 */
import { describe, expect, it } from 'vitest';
import {
  asyncBufferSource,
  type BlockDevice,
  type ByteSource,
  bufferDevice,
  type Done,
  httpSource,
  Qcow2Image,
  type Transfer,
} from '../../src/index.js';
import { expectSame } from '../support/expect-same.js';
import { host } from '../support/http/hosted.js';
import type { FilePlan } from '../support/http/plan.js';
import { buildImage } from '../support/image-builder.js';
import { noiseOf } from '../support/numbers.js';
import { afterMs, LaterDevice, SlowDevice } from '../support/slow-device.js';

const MIB = 1024 * 1024;

async function fresh(
  size: number,
  clusterSize = 4096,
): Promise<{ device: ReturnType<typeof bufferDevice>; image: Qcow2Image }> {
  const device = bufferDevice();
  await (await Qcow2Image.create(device, { size, clusterSize })).close();
  return { device, image: await Qcow2Image.open(new SlowDevice(device, () => 7), { mode: 'readwrite' }) };
}

/** Some data in the reach of each L2 table of a disk, opened anew so that each of them has to be waited for. */
async function sixteenTables(size: number): ReturnType<typeof fresh> {
  const { device, image } = await fresh(size);
  for (let at = 0; at < size; at += 2 * MIB) await image.write(at, noiseOf(at, 8192));
  await image.close();
  return { device, image: await Qcow2Image.open(new SlowDevice(device, () => 7), { mode: 'readwrite' }) };
}

/** A device of zeros that counts its writes and keeps only the small ones; each of the others takes a while. */
class CountingDevice implements BlockDevice {
  readonly #kept = bufferDevice();
  promises = false;
  /** Milliseconds that a large write keeps the thread. */
  takes = 0;
  writes = 0;
  /** Bytes of the largest write. */
  largest = 0;

  get size(): number {
    return this.#kept.size;
  }

  read(transfers: readonly Transfer[]): Done {
    this.#kept.read(transfers);
    return this.promises ? Promise.resolve() : undefined;
  }

  write(transfers: readonly Transfer[]): Done {
    const length = transfers.reduce((sum, { bytes }) => sum + bytes.length, 0);
    this.largest = Math.max(this.largest, length);
    if (length < MIB) this.#kept.write(transfers);
    else {
      this.writes++;
      for (const { at, bytes } of transfers) this.#kept.truncate(Math.max(this.size, at + bytes.length));
      for (const until = performance.now() + this.takes; performance.now() < until; );
    }
    return this.promises ? Promise.resolve() : undefined;
  }

  truncate(size: number): void {
    this.#kept.truncate(size);
  }

  flush(): void {}
}

async function reread(device: ReturnType<typeof bufferDevice>): Promise<Uint8Array> {
  const image = await Qcow2Image.open(device.bytes());
  const disk = new Uint8Array(image.size);
  await image.read(0, disk);
  return disk;
}

describe('closing', () => {
  it('waits for a write that waits for a read', async () => {
    const { device, image } = await fresh(MIB);
    await image.write(0, noiseOf(1, 4096));
    await image.close();
    const again = await Qcow2Image.open(new SlowDevice(device, () => 7), { mode: 'readwrite' });
    const reading = again.read(0, new Uint8Array(4096));
    const writing = again.write(0, noiseOf(2, 4096));
    await again.close();
    expectSame((await reread(device)).subarray(0, 4096), noiseOf(2, 4096));
    await Promise.all([reading, writing]);
  });

  it('waits for a long discard: nothing is written after it', async () => {
    const size = 32 * MIB;
    const { device, image } = await sixteenTables(size);
    const discarding = image.discard(0, size);
    await image.close();
    const closed = device.bytes();
    await discarding;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expectSame(device.bytes(), closed);
    expectSame(await reread(device), new Uint8Array(size));
  });
});

describe('closing over a web server', () => {
  const base = noiseOf(9, MIB);

  /** An overlay over a raw file on a server, which goes on as `plan` says once it is open. */
  async function overlay(plan: FilePlan): Promise<Awaited<ReturnType<typeof fresh>>> {
    const device = bufferDevice();
    const hosted = await host(base);
    const resolve = () => httpSource(hosted.url, { timeout: 20_000, retries: 0, blockSize: 4096, cacheBytes: 0 });
    const options = { size: MIB, clusterSize: 65_536, backingFile: 'base', backingFormat: 'raw' } as const;
    await (await Qcow2Image.create(device, { ...options, resolve })).close();
    const image = await Qcow2Image.open(device, { mode: 'readwrite', resolve });
    await image.write(0, noiseOf(1, 65_536));
    await hosted.plan(plan);
    return { device, image };
  }

  const silent: FilePlan = { faults: Array.from({ length: 8 }, () => ({ kind: 'silence' as const })) };
  const end = (promise: Promise<void>) =>
    promise.then(
      () => 'done',
      ({ code }) => code,
    );

  it('soon ends reads that wait for a server without response', async () => {
    const { device, image } = await overlay(silent);
    const reading = end(image.read(700_000, new Uint8Array(512)));
    const started = performance.now();
    await image.close();
    expect(performance.now() - started).toBeLessThan(5000);
    expect(await reading).toBe('closed');
    const again = await Qcow2Image.open(device, { resolve: async () => base });
    expect((await again.check()).corruptions).toBe(0);
    const disk = new Uint8Array(MIB);
    await again.read(0, disk);
    expectSame(disk.subarray(0, 65_536), noiseOf(1, 65_536));
    expectSame(disk.subarray(65_536), base.subarray(65_536));
  });

  it('soon ends changes that wait for a server without response, and keeps earlier writes', async () => {
    const { device, image } = await overlay(silent);
    const requests = [
      image.write(700_000, noiseOf(2, 512)),
      image.writeZeroes(500_000, 100),
      image.discard(300_000, 200),
      image.read(800_000, new Uint8Array(512)),
    ].map(end);
    const started = performance.now();
    await image.close();
    expect(performance.now() - started).toBeLessThan(5000);
    expect(await Promise.all(requests)).toEqual(['closed', 'closed', 'closed', 'closed']);
    const again = await Qcow2Image.open(device, { resolve: async () => base });
    expect(await again.check()).toMatchObject({ corruptions: 0, leaks: 0 });
    const disk = new Uint8Array(MIB);
    await again.read(0, disk);
    expectSame(disk.subarray(0, 65_536), noiseOf(1, 65_536));
    expectSame(disk.subarray(65_536), base.subarray(65_536));
  });

  it('waits for changes whose responses arrive', async () => {
    const { device, image } = await overlay({ delay: 200 });
    const writing = image.write(700_000, noiseOf(2, 512));
    await image.close();
    await writing;
    const again = await Qcow2Image.open(device, { resolve: async () => base });
    const into = new Uint8Array(512);
    await again.read(700_000, into);
    expectSame(into, noiseOf(2, 512));
  });
});

describe('closing over a file behind the image', () => {
  const SIZE = 32 * MIB;

  /** An image of clusters of 64 KiB over `source`; the device takes `delay` ms for each call. */
  async function over(source: ByteSource | Blob, delay?: number) {
    const memory = bufferDevice();
    const options = { size: SIZE, backingFile: 'base', backingFormat: 'raw' } as const;
    const resolve = async () => ({ source, format: 'raw' as const });
    const device =
      delay === undefined ? memory : new LaterDevice(memory, { read: afterMs(delay), write: afterMs(delay) });
    return { memory, image: await Qcow2Image.create(device, { ...options, resolve }) };
  }

  it('completes all requests that were started, however long they take in total', { timeout: 120_000 }, async () => {
    const base = noiseOf(4, SIZE);
    const { memory, image } = await over(new Blob([base]), 5);
    const expected = base.slice();
    const requests: Promise<void>[] = [];
    for (let index = 0; index < 400; index++) {
      const at = index * 65_536 + 512;
      expected.set(noiseOf(index, 512), at);
      requests.push(image.write(at, noiseOf(index, 512)));
    }
    for (let index = 400; index < 460; index++) {
      const at = index * 65_536 + 100;
      expected.fill(0, at, at + 300);
      requests.push(index % 2 === 0 ? image.writeZeroes(at, 300) : image.discard(at, 300));
    }
    const started = performance.now();
    const ends = Promise.allSettled(requests);
    await image.close();
    expect(performance.now() - started).toBeGreaterThan(1500);
    expect((await ends).filter(({ status }) => status === 'rejected')).toEqual([]);
    const again = await Qcow2Image.open(memory, { resolve: async () => ({ source: base, format: 'raw' }) });
    expect(await again.check()).toMatchObject({ corruptions: 0, leaks: 0 });
    const disk = new Uint8Array(SIZE);
    await again.read(0, disk);
    expectSame(disk, expected);
  });

  /** Sources that go silent: `silent` says when. */
  const sources: Record<string, (state: { silent: boolean; late?: () => void }) => ByteSource> = {
    'one that only follows the signal': (state) => ({
      size: SIZE,
      read: (_, signal) =>
        state.silent
          ? new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
          : Promise.resolve(),
    }),
    'an AsyncBuffer': (state) =>
      asyncBufferSource({
        byteLength: SIZE,
        slice: (start, end) => (state.silent ? new Promise(() => {}) : new ArrayBuffer(end - start)),
      }),
    'one that ignores everything': (state) => ({
      size: SIZE,
      read: (transfers) => {
        if (!state.silent) return Promise.resolve();
        return new Promise((resolve) => {
          state.late = () => {
            for (const { bytes } of transfers) bytes.fill(9);
            resolve();
          };
        });
      },
    }),
  };

  it.each(Object.entries(sources))('has a timeout for %s', async (_, make) => {
    const state = { silent: false };
    for (const change of ['write', 'writeZeroes', 'discard'] as const) {
      state.silent = false;
      const { memory, image } = await over(make(state));
      await image.write(0, noiseOf(1, 65_536));
      state.silent = true;
      const changing = change === 'write' ? image.write(700_000, noiseOf(2, 512)) : image[change](700_000, 300);
      // Whatever waits behind it is not waited for a second each.
      const others = Array.from({ length: 20 }, (_, index) => image.write(MIB + index * 65_536, noiseOf(2, 512)));
      const ends = Promise.allSettled([changing, ...others]);
      const started = performance.now();
      await image.close();
      expect(performance.now() - started).toBeLessThan(5000);
      for (const end of await ends) expect(end).toMatchObject({ status: 'rejected', reason: { code: 'closed' } });
      const again = await Qcow2Image.open(memory, { resolve: async () => undefined });
      expect(await again.check()).toMatchObject({ corruptions: 0, leaks: 0 });
      const into = new Uint8Array(65_536);
      await again.read(0, into);
      expectSame(into, noiseOf(1, 65_536));
    }
  });

  it.each(Object.entries(sources))('has a timeout for a read of %s', async (name, make) => {
    const state: { silent: boolean; late?: () => void } = { silent: false };
    const { image } = await over(make(state));
    state.silent = true;
    const into = new Uint8Array(512);
    let ended = false;
    const reading = image.read(700_000, into).then(
      () => 'done',
      ({ code }) => {
        ended = true;
        return code;
      },
    );
    await image.close();
    // Its buffer may still be filled: the read has not ended.
    if (name === 'one that ignores everything') expect(ended).toBe(false);
    state.late?.();
    expect(await reading).toBe('closed');
  });
});

describe('requests that are not awaited', () => {
  it('are carried out in order: zeroing does not affect later writes', async () => {
    const { image } = await fresh(MIB);
    await image.write(0, noiseOf(1, 64 * 1024));
    const under = [
      image.writeZeroes(100, 40_000, { unmap: true }),
      image.write(4096, noiseOf(2, 8192)),
      image.discard(20_000, 10_000),
      image.write(24_576, noiseOf(3, 100)),
    ];
    const into = new Uint8Array(64 * 1024);
    await image.read(0, into);
    const expected = noiseOf(1, 64 * 1024);
    expected.fill(0, 100, 40_100);
    expected.set(noiseOf(2, 8192), 4096);
    expected.fill(0, 20_000, 30_000);
    expected.set(noiseOf(3, 100), 24_576);
    expectSame(into, expected);
    await Promise.all(under);
    await image.close();
  });

  it('run between the tables of a long discard', async () => {
    const size = 32 * MIB;
    const { image } = await sixteenTables(size);
    let discarded = false;
    const discarding = image.discard(0, size).then(() => {
      discarded = true;
    });
    await image.read(size - 512, new Uint8Array(512));
    expect(discarded).toBe(false);
    await discarding;
    await image.close();
  });

  /** Where zeros must be written: no entry can say them. */
  const written: readonly [string, (target: CountingDevice) => Promise<Qcow2Image>][] = [
    [
      'a raw data file',
      async (target) => {
        const device = bufferDevice();
        const resolve = async () => target;
        await (
          await Qcow2Image.create(device, { size: 256 * MIB, dataFile: 'data', dataFileRaw: true, resolve })
        ).close();
        return Qcow2Image.open(device, { mode: 'readwrite', resolve });
      },
    ],
    [
      'version 2 over a backing file',
      async (target) => {
        target.write([{ at: 0, bytes: buildImage({ version: 2, size: 256 * MIB, backingName: 'base' }).bytes }]);
        const resolve = async () => ({ source: new Uint8Array(512), format: 'raw' as const });
        return Qcow2Image.open(target, { mode: 'readwrite', resolve });
      },
    ],
  ];

  it.each(written)('run between the parts of written zeros, in %s', async (_, open) => {
    for (const promises of [true, false]) {
      const target = new CountingDevice();
      const image = await open(target);
      target.promises = promises;
      target.takes = promises ? 0 : 10;
      target.largest = target.writes = 0;
      const zeroing = image.writeZeroes(0, 256 * MIB);
      // On a device that never waits the page's messages arrive in tasks of their own.
      if (!promises) await new Promise((resolve) => setTimeout(resolve, 0));
      await image.read(MIB, new Uint8Array(512));
      const before = target.writes;
      await zeroing;
      expect(before).toBeLessThan(16);
      expect(target.writes).toBeGreaterThanOrEqual(64);
      expect(target.largest).toBeLessThanOrEqual(4 * MIB);
      await image.close();
    }
  });
});
