/**
 * The engine against a plain array: random requests, alone and together, over every kind of image and over devices that
 * answer at once and those that promise; at the end QEMU says whether the image is clean and its disk the same.
 *
 * QCOW2_MODEL_RUNS says how many runs each kind gets; fast-check prints the seed and the path of a failure.
 */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nodeHash } from '../../node/index.js';
import { type BlockDevice, bufferDevice, type Extent, isQcow2Error, Qcow2Image } from '../../src/index.js';
import { judgeBitmaps } from '../crash/judge-bitmaps.js';
import { expectSame } from '../support/expect-same.js';
import { numbers } from '../support/numbers.js';
import { Paranoia } from '../support/paranoid.js';
import { QemuFolder } from '../support/qemu.js';
import { SlowDevice } from '../support/slow-device.js';
import { KINDS, type Kind, type Made, make } from './kinds.js';
import {
  applyTo,
  compatible,
  type Drawn,
  type DrawnRelease,
  type DrawnResize,
  type DrawnSnapshot,
  placed,
  type Request,
  type Step,
  sizeAfter,
  steps,
} from './operations.js';

const RUNS = Number(process.env.QCOW2_MODEL_RUNS ?? 1);
/** How long a kind may take, and the search for a smaller failure with it; milliseconds. */
const TIME_LIMIT_MS = Math.max(15_000, RUNS * 3_000);

const folder = new QemuFolder('model');
const paranoia = new Paranoia();

/** How a run is set up. */
interface Setting {
  /** The device promises, and its calls take turns in an order that this decides; null when it answers at once. */
  readonly slow: number | null;
  /** Next to nothing is kept in memory, so that changes are written back all the time. */
  readonly frugal: boolean;
}

const setting: fc.Arbitrary<Setting> = fc.record({
  slow: fc.oneof(fc.constant(null), fc.nat(1_000_000)),
  frugal: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
});

/** A device that stays open when the image that it was handed to is closed. */
function kept(device: BlockDevice): BlockDevice {
  return {
    get size() {
      return device.size;
    },
    read: (transfers, signal) => device.read(transfers, signal),
    write: (transfers) => device.write(transfers),
    truncate: (size) => device.truncate(size),
    flush: () => device.flush(),
  };
}

/** One image under test, and the array that it must equal. */
class Run {
  disk: Uint8Array<ArrayBuffer>;
  /** The disk at first, but for what was cut off since: a bitmap marks nothing there. */
  #before: Uint8Array<ArrayBuffer>;
  readonly #kind: Kind;
  readonly #made: Made;
  readonly #setting: Setting;
  readonly #image: ReturnType<typeof bufferDevice>;
  readonly #data: ReturnType<typeof bufferDevice> | null;
  readonly #next: () => number;
  /** What the snapshots contain, by name. */
  readonly #snapshots: Map<string, Uint8Array<ArrayBuffer>>;
  #taken = 0;
  #open!: Qcow2Image;

  constructor(kind: Kind, made: Made, setting: Setting) {
    this.#kind = kind;
    this.#made = made;
    this.#setting = setting;
    this.#image = bufferDevice(made.image);
    this.#data = made.data && bufferDevice(made.data);
    this.#next = numbers(setting.slow ?? 0);
    this.disk = made.disk.slice();
    this.#before = made.disk;
    this.#snapshots = new Map(made.snapshots);
  }

  async open(): Promise<void> {
    const { frugal } = this.#setting;
    this.#open = await Qcow2Image.open(this.#device(this.#image), {
      mode: 'readwrite',
      resolve: async ({ kind, name, format }) => {
        if (kind === 'data') return this.#device(this.#data!);
        return { source: this.#made.files.get(name)!, format: format as 'raw' | 'qcow2' };
      },
      cache: frugal ? { l2Bytes: 1, refcountBytes: 1 } : undefined,
    });
  }

  #device(device: BlockDevice): BlockDevice {
    return this.#setting.slow === null ? kept(device) : new SlowDevice(device, this.#next);
  }

  async step(step: Step): Promise<void> {
    if (step.kind === 'resize') await this.#resize(step);
    else if (step.kind === 'release') await this.#release(step);
    else if (step.kind === 'snapshot') await this.#changeSnapshots(step);
    else if (step.kind === 'reopen') await this.#reopen();
    else if (this.disk.length === 0) return;
    else if (step.kind === 'one') await this.#start(placed(this.#kind, this.disk.length, step.request));
    else await this.#together(step);
  }

  /** Starts requests without waiting, and then waits for them in another order; perhaps closes meanwhile. */
  async #together({ requests, order, close }: Step & { kind: 'together' }): Promise<void> {
    const under = this.#startAll(requests, this.disk.length);
    const closing = close ? this.#open.close() : null;
    await inOrder(under, order);
    if (closing === null) return;
    await closing;
    await this.open();
  }

  /** Starts requests on the first `size` bytes of the disk. */
  #startAll(requests: readonly Drawn[], size: number): Promise<void>[] {
    if (size === 0) return [];
    return compatible(
      requests.map((drawn) => placed(this.#kind, size, drawn)),
      this.#kind,
    )
      .filter(({ what }) => what !== 'map' && what !== 'seek')
      .map((request) => this.#start(request));
  }

  /** Resizes the disk while other requests run, streams, maps and snapshots are read; perhaps closes meanwhile. */
  async #resize(step: DrawnResize): Promise<void> {
    const image = this.#open;
    const size = sizeAfter(this.#kind, this.disk.length, step);
    const isOldWithSnapshots = this.#kind.options.includes('0.10') && this.#snapshots.size > 0;
    if (isOldWithSnapshots || (this.#kind.bitmap && size === 0)) {
      if (size !== this.disk.length) await expectRefused(image, size);
      return;
    }
    const readers = [this.#streams(Math.min(size, this.disk.length)), this.#maps(size)];
    const resizing = image.resize(size, { shrink: true });
    const under = this.#startAll(step.requests, Math.min(size, this.disk.length));
    if (!step.close) under.push(...[...this.#snapshots.keys()].map((name) => this.#compareView(name)));
    const closing = step.close ? image.close() : null;
    const resized = resizing.catch((error: unknown) => {
      if (closing === null || !isQcow2Error(error, 'closed')) throw error;
    });
    for (const reader of readers) reader.catch(() => {});
    await inOrder([resized, ...under], step.order);
    await closing;
    if (closing !== null) await this.open();
    else await Promise.all(readers);
    await Promise.allSettled(readers);
    if (closing === null) expect(this.#open.size).toBe(size);
    expect([size, this.disk.length]).toContain(this.#open.size);
    this.disk = atSize(this.disk, this.#open.size);
    this.#before = atSize(this.#before, this.#open.size);
  }

  /** Gives space back while other requests run and snapshots are read; perhaps aborts it, or closes meanwhile. */
  async #release({ verb, requests, order, end, reports }: DrawnRelease): Promise<void> {
    const image = this.#open;
    const aborting = new AbortController();
    let left = end === 'abort' ? reports : Number.POSITIVE_INFINITY;
    const onProgress = (): void => {
      if (left-- === 0) aborting.abort();
    };
    const releasing = image[verb]({ signal: aborting.signal, onProgress });
    const under = this.#startAll(requests, this.disk.length);
    if (end !== 'close') under.push(...[...this.#snapshots.keys()].map((name) => this.#compareView(name)));
    const closing = end === 'close' ? image.close() : null;
    const released = releasing.then(
      () => {},
      (error: unknown) => {
        if (closing === null ? error !== aborting.signal.reason : !isQcow2Error(error, 'closed')) throw error;
      },
    );
    await inOrder([released, ...under], order);
    await closing;
    if (closing !== null) await this.open();
    expect(this.#open.size).toBe(this.disk.length);
  }

  /** Takes, applies, deletes or renames a snapshot. What cannot be done is refused, and changes nothing. */
  async #changeSnapshots({ verb, which }: DrawnSnapshot): Promise<void> {
    const image = this.#open;
    const name = [...this.#snapshots.keys()][Math.floor((which / 65_536) * this.#snapshots.size)];
    const added = `snapshot ${++this.#taken}`;
    const changes: Record<typeof verb, () => Promise<unknown>> = {
      create: () => image.createSnapshot(added),
      apply: () => image.applySnapshot({ name: name! }),
      delete: () => image.deleteSnapshot({ name: name! }),
      rename: () => image.renameSnapshot({ name: name! }, added),
    };
    if (verb !== 'create' && name === undefined) return;
    const { dataFile, bitmap, options } = this.#kind;
    const isNarrow = /refcount_bits=[124](,|$)/.test(options);
    const refused = await changes[verb]().then(
      () => false,
      (error: unknown) => {
        if (!isQcow2Error(error, 'unsupported')) throw error;
        return true;
      },
    );
    if (refused) {
      expect(dataFile || isNarrow || (bitmap && verb === 'apply')).toBe(true);
      return;
    }
    const content = name === undefined ? undefined : this.#snapshots.get(name)!;
    if (verb === 'apply') this.disk = content!.slice();
    if (verb === 'delete' || verb === 'rename') this.#snapshots.delete(name!);
    if (verb === 'create') this.#snapshots.set(added, this.disk.slice());
    if (verb === 'rename') this.#snapshots.set(added, content!);
    expect(image.size).toBe(this.disk.length);
  }

  /** A stream ends where it was to end, or where the disk does then; it is of one length or the other. */
  async #streams(least: number): Promise<void> {
    let length = 0;
    for await (const chunk of this.#open.readable()) length += chunk.length;
    expect(length).toBeGreaterThanOrEqual(least);
  }

  /** What a map says is in order, without gaps, up to where the disk ends. */
  async #maps(size: number): Promise<void> {
    let at = 0;
    const longest = Math.max(size, this.disk.length);
    for await (const { start, length } of this.#open.map()) {
      expect(start).toBe(at);
      at += length;
    }
    expect(at).toBeLessThanOrEqual(longest);
  }

  async #compareView(name: string): Promise<void> {
    const content = this.#snapshots.get(name)!;
    const view = await this.#open.openSnapshot(name);
    const into = new Uint8Array(content.length);
    await view.read(0, into);
    await view.close();
    expectSame(into, content);
  }

  /** Starts a request; the array changes at once, as requests are carried out in the order in which they are made. */
  async #start(request: Request): Promise<void> {
    const { what, offset, length, bytes } = request;
    applyTo(this.disk, this.#kind, request);
    if (bytes !== null) return this.#open.write(offset, bytes);
    if (what === 'flush') return this.#open.flush();
    if (what === 'discard') return this.#open.discard(offset, length);
    if (what === 'map') return this.#compareMap(offset, length);
    if (what === 'seek') return this.#compareSeeks(offset);
    if (what !== 'read') return this.#open.writeZeroes(offset, length, { unmap: what === 'zero-unmap' });
    const expected = this.disk.slice(offset, offset + length);
    const into = new Uint8Array(length).fill(0xee);
    await this.#open.read(offset, into);
    expectSame(into, expected);
  }

  /** What the map calls zero is zero, and where it says that bytes lie in the file, there they lie. */
  async #compareMap(start: number, length: number): Promise<void> {
    const extents: Extent[] = [];
    for await (const extent of this.#open.map({ start, length })) extents.push(extent);
    let at = start;
    const medium = this.#data ?? this.#image;
    for (const { start: from, length: run, zero, data, depth, offset, compressed } of extents) {
      expect(from).toBe(at);
      at += run;
      const there = this.disk.subarray(from, from + run);
      if (zero) expectSame(new Uint8Array(run), there);
      if (!data || depth > 0 || offset === undefined || compressed) continue;
      const stored = new Uint8Array(run);
      medium.read([{ at: offset, bytes: stored }]);
      expectSame(stored, there);
    }
    expect(at).toBe(start + length);
  }

  async #compareSeeks(offset: number): Promise<void> {
    const data = (await this.#open.seekData(offset)) ?? this.disk.length;
    expectSame(new Uint8Array(data - offset), this.disk.subarray(offset, data));
    const hole = await this.#open.seekHole(offset);
    if (hole !== undefined) expect(this.disk[hole]).toBe(0);
  }

  async #reopen(): Promise<void> {
    await this.#open.close();
    await this.open();
  }

  /** Hashes the disk, closes, and lets QEMU judge. */
  async judge(): Promise<void> {
    const digest = await this.#open.digest('SHA-1', { createHash: nodeHash });
    expectSame(digest, new Uint8Array(createHash('sha1').update(this.disk).digest()));
    await this.#open.close();
    if (this.#data !== null) folder.put('data.raw', this.#data.bytes());
    folder.put('image.qcow2', this.#image.bytes());
    folder.put('disk.raw', this.disk);
    const check = folder.tryImg('check', '-f', 'qcow2', 'image.qcow2');
    expect(check, check.out + check.error).toMatchObject({ status: 0 });
    expect(folder.tryImg('compare', '-f', 'qcow2', '-F', 'raw', 'image.qcow2', 'disk.raw')).toMatchObject({
      status: 0,
    });
    expect(JSON.parse(folder.img('info', '--output=json', 'image.qcow2'))['virtual-size']).toBe(this.disk.length);
    if (this.#kind.options.includes('data_file_raw'))
      expectSame(this.#data!.bytes().subarray(0, this.disk.length), this.disk);
    if (this.#snapshots.size > 0) await this.#judgeSnapshots();
    if (this.#kind.bitmap) await this.#judgeBitmap();
  }

  /** Whatever differs from the beginning is marked, and the bitmap is to be trusted. */
  async #judgeBitmap(): Promise<void> {
    const image = await Qcow2Image.open(this.#image.bytes());
    expect(image.bitmaps).toMatchObject([{ name: 'follows', flags: ['auto'] }]);
    expect(await judgeBitmaps(image, 0, this.disk, this.#before)).toBe(null);
    await image.close();
  }

  /** What snapshots share was copied, never changed: QEMU and we read in them what was there when they were taken. */
  async #judgeSnapshots(): Promise<void> {
    const image = await Qcow2Image.open(this.#image.bytes(), {
      resolve: async ({ name, format }) => ({ source: this.#made.files.get(name)!, format: format as 'raw' | 'qcow2' }),
    });
    for (const [name, content] of this.#snapshots) {
      // QEMU shows it at the size that the disk has now.
      const common = Math.min(content.length, this.disk.length);
      expectSame(folder.raw('image.qcow2', name).subarray(0, common), content.subarray(0, common));
      const view = await image.openSnapshot(name);
      const into = new Uint8Array(content.length);
      await view.read(0, into);
      expectSame(into, content);
      await view.close();
    }
    await image.close();
  }
}

/** The disk with another size: what is added is zeros. */
function atSize(disk: Uint8Array<ArrayBuffer>, size: number): Uint8Array<ArrayBuffer> {
  const resized = new Uint8Array(size);
  resized.set(disk.subarray(0, size));
  return resized;
}

/** Waits for what has been started, in an order of its own. */
async function inOrder(under: readonly Promise<void>[], order: number): Promise<void> {
  const next = numbers(order);
  under.forEach((promise) => void promise.catch(() => {}));
  const waits = [...under].sort(() => (next() % 2 === 0 ? 1 : -1));
  await Promise.allSettled(waits.slice(0, 2));
  for (const wait of waits) await wait;
}

async function expectRefused(image: Qcow2Image, size: number): Promise<void> {
  const before = image.size;
  await expect(image.resize(size, { shrink: true })).rejects.toMatchObject({ code: 'unsupported' });
  expect(image.size).toBe(before);
}

describe('random requests', () => {
  it.each(KINDS.map((kind) => [kind.name, kind] as const))(
    '%s',
    async (_, kind) => {
      const made = make(folder, kind);
      const property = fc.asyncProperty(setting, steps, async (setting, steps) => {
        const run = new Run(kind, made, setting);
        await run.open();
        paranoia.start();
        try {
          for (const step of steps) {
            await run.step(step);
            paranoia.check();
          }
        } finally {
          paranoia.stop();
        }
        await run.judge();
      });
      await fc.assert(property, { numRuns: RUNS, interruptAfterTimeLimit: TIME_LIMIT_MS });
    },
    TIME_LIMIT_MS + 60_000,
  );
});
