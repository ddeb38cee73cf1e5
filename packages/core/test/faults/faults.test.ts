/**
 * Devices that fail: at every call of every kind in turn, until the work succeeds, the caller gets a typed error, the
 * image is `failed` after a failed write or flush and usable after a failed read, and nothing that was acknowledged is
 * lost.
 */
import { describe, expect, it } from 'vitest';
import { type BlockDevice, bufferDevice, isQcow2Error, Qcow2Error, Qcow2Image } from '../../src/index.js';
import { get } from '../support/big-endian.js';
import { expectSame } from '../support/expect-same.js';
import { type Call, type Fault, FaultyDevice } from '../support/faulty-device.js';
import { noiseOf } from '../support/numbers.js';
import { QemuFolder } from '../support/qemu.js';
import { qemuJudges } from '../support/qemu-judges.js';
import { disksOf, work } from './work.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const SIZE = 3 * MIB;
const folder = new QemuFolder('faults');

/** The image on which everything happens: what is in it, and what lies beside it. */
interface Start {
  readonly name: string;
  readonly image: Uint8Array;
  readonly data: Uint8Array | null;
  readonly base: Uint8Array | null;
  readonly disk: Uint8Array;
}

/** Fills an image of clusters of 512 and refcounts of 64 bits so far that its refcount table moves during the work. */
const fill = (): void => void folder.io('image.qcow2', 'write -P 9 1200k 900k');

function start(name: string, options: string, ...prepare: (() => void)[]): Start {
  folder.img('create', '-q', '-f', 'qcow2', '-o', options, 'image.qcow2', String(SIZE));
  folder.io('image.qcow2', 'write -P 7 0 600k', 'write -P 8 1m 100k');
  for (const step of prepare) step();
  const data = options.includes('data_file=') ? folder.get('data.raw') : null;
  return { name, image: folder.get('image.qcow2'), data, base: null, disk: folder.raw('image.qcow2') };
}

function overlay(): Start {
  const base = noiseOf(3, SIZE - 1000 * 512);
  folder.put('base.raw', base);
  folder.img(
    'create',
    '-q',
    '-f',
    'qcow2',
    '-o',
    'cluster_size=4k',
    '-b',
    'base.raw',
    '-F',
    'raw',
    'image.qcow2',
    String(SIZE),
  );
  return {
    name: 'over a backing file',
    image: folder.get('image.qcow2'),
    data: null,
    base,
    disk: folder.raw('image.qcow2'),
  };
}

const STARTS: readonly Start[] = [
  start('plain', 'cluster_size=4k'),
  start('growing refcount table', 'cluster_size=512,refcount_bits=64', fill),
  start('growing refcount table, lazy', 'cluster_size=512,refcount_bits=64,lazy_refcounts=on', fill),
  start('with a bitmap', 'cluster_size=4k', () => folder.img('bitmap', '--add', 'image.qcow2', 'follows')),
  start('with a snapshot', 'cluster_size=4k', () => folder.img('snapshot', '-c', 'one', 'image.qcow2')),
  start('with lazy refcounts', 'cluster_size=4k,lazy_refcounts=on'),
  start('with a data file', 'cluster_size=4k,data_file=data.raw'),
  start('with subclusters', 'cluster_size=16k,extended_l2=on'),
  overlay(),
];

/** The files under test, their faults in one of them. */
class Bench {
  readonly image: ReturnType<typeof bufferDevice>;
  readonly data: ReturnType<typeof bufferDevice> | null;
  readonly faulty: FaultyDevice;
  readonly #start: Start;
  readonly #inData: boolean;

  constructor(start: Start, inData: boolean) {
    this.#start = start;
    this.#inData = inData;
    this.image = bufferDevice(start.image);
    this.data = start.data && bufferDevice(start.data);
    this.faulty = new FaultyDevice(inData ? this.data! : this.image);
  }

  open(): Promise<Qcow2Image> {
    const device: BlockDevice = this.#inData ? this.image : this.faulty;
    return Qcow2Image.open(device, {
      mode: 'readwrite',
      resolve: async ({ kind }) => {
        if (kind === 'data') return this.#inData ? this.faulty : new FaultyDevice(this.data!);
        return { source: this.#start.base!, format: 'raw' };
      },
    });
  }

  /**
   * What the disk holds when the image is opened again. A check finds leaks in it at most, and so does QEMU's at some
   * steps.
   */
  async judge(lazy: boolean, nth: number): Promise<Uint8Array> {
    const bytes = qemuJudges(nth) ? this.#judgedByQemu(lazy) : this.image.bytes();
    const { base } = this.#start;
    const image = await Qcow2Image.open(bytes, {
      resolve: async ({ kind }) => (kind === 'data' ? this.data!.bytes() : { source: base!, format: 'raw' }),
    });
    // With lazy refcounts the image is marked dirty, and the promise holds once it is repaired.
    if (!image.info.dirty) expect((await image.check()).corruptions).toBe(0);
    const disk = new Uint8Array(SIZE);
    await image.read(0, disk);
    await image.close();
    return disk;
  }

  #judgedByQemu(lazy: boolean): Uint8Array {
    if (this.data !== null) folder.put('data.raw', this.data.bytes());
    folder.put('image.qcow2', this.image.bytes());
    if (lazy) folder.tryImg('check', '-q', '-r', 'all', 'image.qcow2');
    const check = folder.tryImg('check', '-f', 'qcow2', 'image.qcow2');
    expect([0, 3], check.out + check.error).toContain(check.status);
    return folder.get('image.qcow2');
  }
}

/** What is compared at once: nearly every part of a disk is that of one of the disks it may be. */
const PART = 4 * KIB;

/** Every byte is one that it may be: of the disk as it was acknowledged, or of a change since. */
function expectAllowed(actual: Uint8Array, allowed: readonly Uint8Array[]): void {
  expect(actual.length).toBe(SIZE);
  for (let part = 0; part < SIZE; part += PART) {
    if (
      allowed.some((disk) => Buffer.compare(actual.subarray(part, part + PART), disk.subarray(part, part + PART)) === 0)
    )
      continue;
    for (let at = part; at < part + PART; at++) {
      if (allowed.every((disk) => disk[at] !== actual[at])) {
        expect({ at, byte: actual[at] }).toEqual({ at, byte: allowed.map((disk) => disk[at]) });
      }
    }
  }
}

const noSpace = new Qcow2Error('no-space', 'The quota is spent.', { what: 'test' });
const plain = new Error('The disk is on fire.');

/** How the nth failure comes: thrown and rejected, typed and not, with nothing and half of the write done. */
function faultAt(call: Call, nth: number): Fault {
  return { call, nth, error: nth % 2 === 0 ? noSpace : plain, promised: nth % 4 > 1, done: nth % 3 === 0 ? 0.5 : 0 };
}

/** Each image, and its data file where it has one. */
const PLACES = STARTS.flatMap((start) => [
  { name: start.name, start, inData: false },
  ...(start.data === null ? [] : [{ name: `${start.name}, failing there`, start, inData: true }]),
]);

describe.each(PLACES)('$name', ({ start, inData }) => {
  const lazy = start.name.includes('lazy');

  it.each(['write', 'flush'] as const)('fails permanently at the nth %s, and loses no flushed data', async (call) => {
    const disks = disksOf(start.disk);
    for (let nth = 0; ; nth++) {
      const bench = new Bench(start, inData);
      const image = await bench.open();
      bench.faulty.fault = faultAt(call, nth);
      const { error, allowed } = await work(image, disks);
      const failing =
        error ??
        (await image.close().then(
          () => null,
          (reason: unknown) => reason,
        ));
      if (failing === null) {
        expect(bench.faulty.failed).toBe(false);
        expect(nth).toBeGreaterThan(0);
        expectSame(await bench.judge(false, 0), allowed[0]!);
        const moved = get(bench.image.bytes(), 48, 8) !== get(start.image, 48, 8);
        expect(moved).toBe(start.name.includes('growing'));
        break;
      }
      const { error: thrown } = bench.faulty.fault;
      // An error of the data file is the cause of the one that names the file.
      const own = inData ? (failing as Error).cause : failing;
      if (thrown === noSpace) expect(own).toBe(noSpace);
      else expect(own).toMatchObject({ name: 'Qcow2Error', code: 'io', cause: plain });
      if (error !== null) await expectFailed(image);
      await image.close().catch(() => expect(error).toBe(null));
      expectAllowed(await bench.judge(lazy, nth), allowed);
    }
  });

  it('continues after the nth read failed, and nothing has changed', async () => {
    const disks = disksOf(start.disk);
    for (let nth = 0; ; nth++) {
      const bench = new Bench(start, inData);
      const image = await bench.open();
      // Counted from here on: opening reads as well.
      bench.faulty.fault = { ...faultAt('read', nth + bench.faulty.calls.length), done: 0 };
      const { error, allowed } = await work(image, disks);
      if (error === null) {
        await image.close();
        break;
      }
      expect(isQcow2Error(error, 'no-space') || error === plain).toBe(true);
      bench.faulty.fault = null;
      const into = new Uint8Array(SIZE);
      await image.read(0, into);
      expectAllowed(into, allowed);
      const after = disksOf(into);
      const { error: again } = await work(image, after);
      expect(again).toBe(null);
      await image.close();
      expectSame(await bench.judge(false, nth), after.at(-1)!);
    }
  });
});

/** Whatever is asked of a failed image is refused. */
async function expectFailed(image: Qcow2Image): Promise<void> {
  const failed = { name: 'Qcow2Error', code: 'failed', cause: expect.anything() };
  await expect(image.read(0, new Uint8Array(1))).rejects.toMatchObject(failed);
  await expect(image.write(0, new Uint8Array(1))).rejects.toMatchObject(failed);
  await expect(image.discard(0, 512)).rejects.toMatchObject(failed);
  await expect(image.flush()).rejects.toMatchObject(failed);
  expect(() => image.flushSync()).toThrow(expect.objectContaining(failed));
}

describe('requests under way when the device fails', () => {
  it('all fail, those that waited with `failed`, and close rejects with the reason', async () => {
    const bench = new Bench(STARTS[0]!, false);
    const image = await bench.open();
    bench.faulty.fault = { call: 'write', nth: 0, error: noSpace, promised: true };
    const requests = [0, 1, 2].map((index) => image.write(index * 10_000, noiseOf(index, 5000)));
    const closing = image.close();
    const outcomes = await Promise.allSettled(requests);
    expect(outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason.code)).toEqual([
      'no-space',
      'failed',
      'failed',
    ]);
    await expect(closing).rejects.toBe(noSpace);
    await expect(image.read(0, new Uint8Array(1))).rejects.toMatchObject({ code: 'closed' });
  });

  it('fail at close, which rejects with the reason and still releases the files', async () => {
    const bench = new Bench(STARTS[0]!, false);
    const image = await bench.open();
    await image.write(0, noiseOf(1, 5000));
    bench.faulty.fault = { call: 'flush', nth: 0, error: plain, promised: false };
    await expect(image.close()).rejects.toMatchObject({ code: 'io', cause: plain });
    await expect(image.write(0, new Uint8Array(1))).rejects.toMatchObject({ code: 'closed' });
  });
});

describe('closing an image after a failure', () => {
  /** An image whose second write fails, after a first one that was answered and is not flushed. */
  async function failing(
    promised: boolean,
  ): Promise<{ image: Qcow2Image; bench: Bench; stream: WritableStream<Uint8Array> }> {
    const bench = new Bench(STARTS[0]!, false);
    const image = await bench.open();
    await image.write(0, noiseOf(1, 5000));
    const stream = image.writable();
    bench.faulty.fault = { call: 'write', nth: 1, error: noSpace, promised };
    await expect(image.write(MIB, noiseOf(2, 5000))).rejects.toBe(noSpace);
    return { image, bench, stream };
  }

  it.each([false, true])(
    'rejects with the error, each time, and closes the files that it opened (promised: %s)',
    async (promised) => {
      const { image } = await failing(promised);
      await expect(image.close()).rejects.toBe(noSpace);
      await expect(image.close()).rejects.toBe(noSpace);
      await expect(image.read(0, new Uint8Array(1))).rejects.toMatchObject({ code: 'closed' });
    },
  );

  it.each([
    ['flush', (image: Qcow2Image) => image.flush()],
    ['flushSync', async (image: Qcow2Image) => image.flushSync()],
    ['close of a stream', (_: Qcow2Image, stream: WritableStream) => stream.close()],
  ])('resolves once a %s has rejected because of it', async (_, flush) => {
    const { image, stream } = await failing(false);
    await expect(flush(image, stream)).rejects.toMatchObject({ code: 'failed', cause: noSpace });
    await image.close();
  });

  it('resolves if the flush itself failed', async () => {
    const bench = new Bench(STARTS[0]!, false);
    const image = await bench.open();
    await image.write(0, noiseOf(1, 5000));
    bench.faulty.fault = { call: 'flush', nth: 0, error: plain, promised: true };
    await expect(image.flush()).rejects.toMatchObject({ code: 'io', cause: plain });
    await image.close();
  });

  it('still rejects after other calls were refused, or a stream was cancelled', async () => {
    const { image } = await failing(false);
    await expect(image.read(0, new Uint8Array(1))).rejects.toMatchObject({ code: 'failed' });
    await expect(image.write(0, new Uint8Array(1))).rejects.toMatchObject({ code: 'failed' });
    const { image: streamed, bench } = await failing(false);
    bench.faulty.fault = null;
    expect(() => streamed.writable()).toThrow(expect.objectContaining({ code: 'failed' }));
    for (const failed of [image, streamed]) await expect(failed.close()).rejects.toBe(noSpace);
  });

  it('rejects with the error of the write, not with that of a failed close', async () => {
    const start = STARTS.find(({ base }) => base !== null)!;
    const device = new FaultyDevice(bufferDevice(start.image));
    const base = { size: SIZE, read: () => {}, close: () => Promise.reject(new Error('never closed')) };
    const image = await Qcow2Image.open(device, {
      mode: 'readwrite',
      resolve: async () => ({ source: base, format: 'raw' }),
    });
    device.fault = { call: 'write', nth: 0, error: noSpace, promised: false };
    await expect(image.write(0, noiseOf(1, 4096))).rejects.toBe(noSpace);
    await expect(image.close()).rejects.toBe(noSpace);
  });
});

describe('creating an image on a device that fails', () => {
  it.each(['write', 'flush', 'truncate'] as const)('leaves no image at the nth %s', async (call) => {
    for (let nth = 0; ; nth++) {
      const device = bufferDevice();
      const faulty = new FaultyDevice(device);
      faulty.fault = faultAt(call, nth);
      const creating = Qcow2Image.create(faulty, { size: SIZE, preallocation: 'metadata' });
      const outcome = await creating.then(
        () => null,
        (error: unknown) => error,
      );
      if (!faulty.failed) {
        expect(outcome).toBe(null);
        break;
      }
      expect(outcome).toBe(faulty.fault.error);
    }
  });
});
