/**
 * The check of an image that is being written: what it finds is on the medium, not between two stages of a write-back.
 */
import { describe, expect, it } from 'vitest';
import { bufferDevice, type CreateOptions, Qcow2Image } from '../../src/index.js';
import { expectSame } from '../support/expect-same.js';
import { noiseOf, numbers } from '../support/numbers.js';
import { SlowDevice } from '../support/slow-device.js';

const MIB = 1024 * 1024;
const SIZE = 8 * MIB;
const SOUND = { corruptions: 0, leaks: 0, checkErrors: 0, extra: 0 };

const KINDS: readonly [string, Omit<CreateOptions, 'size'>][] = [
  ['4 KiB clusters', { clusterSize: 4096 }],
  ['512-byte clusters and a growing refcount table', { clusterSize: 512, refcountBits: 64 }],
  ['lazy refcounts', { clusterSize: 4096, lazyRefcounts: true }],
  ['subclusters', { clusterSize: 16_384, extendedL2: true }],
];

/** An image on a device whose calls take now one microtask and now more, so that calls of two requests interleave. */
async function slow(options: Omit<CreateOptions, 'size'>, seed: number): Promise<Qcow2Image> {
  const device = bufferDevice();
  await (await Qcow2Image.create(device, { size: SIZE, ...options })).close();
  const next = numbers(seed);
  return Qcow2Image.open(new SlowDevice(device, () => next() % 7), { mode: 'readwrite' });
}

describe.each(KINDS)('%s', (_, options) => {
  it('finds nothing beside flushes and writes, whatever the order of their device calls', async () => {
    for (let seed = 1; seed <= 12; seed++) {
      const image = await slow(options, seed);
      await image.write(0, noiseOf(seed, MIB));
      const flushing = image.flush();
      const first = image.check();
      const under = [
        image.write(2 * MIB, noiseOf(seed, MIB)),
        image.discard(0, MIB / 2),
        image.flush(),
        image.write(MIB / 4, noiseOf(seed, 1000)),
      ];
      const second = image.check();
      const third = image.flush();
      for (const report of [await first, await second]) expect(report, `seed ${seed}`).toMatchObject(SOUND);
      await Promise.all([flushing, third, ...under]);
      expect(await image.check()).toMatchObject(SOUND);
      await image.close();
    }
  });

  it('includes writes that were not flushed', async () => {
    const image = await slow(options, 1);
    await image.write(0, noiseOf(1, MIB));
    const { clusterSize } = image.info;
    expect(await image.check()).toMatchObject({ ...SOUND, allocatedClusters: MIB / clusterSize });
    expect(image.info.dirty).toBe(options.lazyRefcounts ?? false);
    await image.close();
  });
});

describe('beside a check', () => {
  it('reads continue, changes wait, and both are correct', async () => {
    const image = await slow({ clusterSize: 4096 }, 3);
    await image.write(0, noiseOf(1, MIB));
    const done: string[] = [];
    const into = new Uint8Array(4096);
    const under: Promise<unknown>[] = [];
    // The check is under way when it first reports.
    const onProgress = () => {
      if (under.length > 0) return;
      under.push(image.read(0, into));
      under.push(image.write(0, noiseOf(2, 4096)).then(() => done.push('write')));
    };
    await image.check({ onProgress }).then(() => done.push('check'));
    expect(under).toHaveLength(2);
    await Promise.all(under);
    expect(done).toEqual(['check', 'write']);
    expectSame(into, noiseOf(1, 4096));
    await image.read(0, into);
    expectSame(into, noiseOf(2, 4096));
    await image.close();
  });

  it('close ends it, and after an abort changes continue', async () => {
    const image = await slow({ clusterSize: 4096 }, 3);
    await image.write(0, noiseOf(1, MIB));
    const abort = new AbortController();
    const reason = new Error('enough');
    const aborted = image.check({ signal: abort.signal });
    abort.abort(reason);
    await expect(aborted).rejects.toBe(reason);
    await image.write(0, noiseOf(2, 4096));
    const ended = image.check();
    const closing = image.close();
    await expect(ended).rejects.toMatchObject({ code: 'closed' });
    await closing;
  });

  it('a check of an unchanged image makes no write calls', async () => {
    const device = bufferDevice();
    await (await Qcow2Image.create(device, { size: SIZE })).close();
    const image = await Qcow2Image.open(device, { mode: 'readwrite' });
    expect(await image.check()).toMatchObject(SOUND);
    expect((await image.stats()).deviceWrites + (await image.stats()).deviceFlushes).toBe(0);
    await image.close();
  });
});
