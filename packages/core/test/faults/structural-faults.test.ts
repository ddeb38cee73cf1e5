/**
 * Devices that fail while a verb changes the structure of an image: at every call of every kind in turn. The image
 * opens again with the old size or the new one, holds what was acknowledged, and a check finds leaks at most; after a
 * read that failed the verb can be called again.
 */
import { describe, expect, it } from 'vitest';
import { type BlockDevice, bufferDevice, bufferSource, isQcow2Error, Qcow2Error, Qcow2Image } from '../../src/index.js';
import { checkSource } from '../../src/verbs/check/check.js';
import type { DiskKind, StartDisk } from '../crash/disks.js';
import { judge } from '../crash/judge.js';
import { ALL_KINDS } from '../crash/kinds.js';
import { Oracle, type TimelineEntry } from '../crash/oracle.js';
import { startOf } from '../crash/workloads.js';
import { type Call, FaultyDevice } from '../support/faulty-device.js';
import { noiseOf } from '../support/numbers.js';

/** Each with a feature of its own, and some with many. */
const KINDS: readonly DiskKind[] = ALL_KINDS.filter(({ name }, index) => {
  const plain = [
    '4k',
    'lazy refcounts',
    'a growing refcount table',
    'a backing file',
    'a data file',
    'a raw data file',
    'a backing file + v2',
    'a bitmap across sectors',
    'lazy refcounts + bitmaps + a snapshot + a backing file + compressed',
    'a snapshot + extended L2 + compressed',
    'lazy refcounts + bitmaps + a data file + extended L2',
  ];
  return plain.includes(name) && ALL_KINDS.findIndex((kind) => kind.name === name) === index;
});

/** A verb that is called on an image. */
interface Change {
  readonly what: string;
  /** The size that the disk has then, from the size before. */
  size(before: number): number;
  run(image: Qcow2Image, size: number): Promise<unknown>;
}

function resizing(what: string, size: Change['size']): Change {
  return { what, size, run: (image, to) => image.resize(to, { shrink: true }) };
}

const CHANGES: readonly Change[] = [
  resizing('grows within a cluster', (size) => size + 512),
  resizing('grows by tables', (size) => size + 3 * 2 ** 20),
  resizing('shrinks to a part', (size) => Math.floor(size / 3 / 512) * 512),
  resizing('shrinks to nothing', () => 0),
  { what: 'is compacted', size: (size) => size, run: (image) => image.compact() },
  { what: 'is sparsified', size: (size) => size, run: (image) => image.sparsify() },
];

const noSpace = new Qcow2Error('no-space', 'The quota is spent.', { what: 'test' });
const plain = new Error('The disk is on fire.');

/** A session on an image, one device of which fails. */
class Session {
  readonly image: ReturnType<typeof bufferDevice>;
  readonly data: ReturnType<typeof bufferDevice> | null;
  readonly faulty: FaultyDevice;
  readonly #timeline: TimelineEntry[] = [];
  readonly #start: StartDisk;
  readonly #inData: boolean;

  constructor(start: StartDisk, inData: boolean) {
    this.#start = start;
    this.#inData = inData;
    this.image = bufferDevice(start.image);
    this.data = start.data === null ? null : bufferDevice(start.data);
    this.faulty = new FaultyDevice(inData ? this.data! : this.image);
  }

  open(): Promise<Qcow2Image> {
    const device: BlockDevice = this.#inData ? this.image : this.faulty;
    const data = this.data === null ? undefined : this.#inData ? this.faulty : new FaultyDevice(this.data);
    const resolve = async ({ kind }: { kind: 'backing' | 'data' }) =>
      kind === 'data' ? data : (this.#start.backing ?? undefined);
    return Qcow2Image.open(device, { mode: 'readwrite', resolve });
  }

  async write(image: Qcow2Image, seed: number): Promise<void> {
    const bytes = noiseOf(seed, 3000);
    this.#note({ offset: seed * 700, length: bytes.length, bytes });
    await image.write(seed * 700, bytes);
  }

  async flush(image: Qcow2Image): Promise<void> {
    await image.flush();
    this.#note(null);
  }

  /** Discards, so that there is something to compact, and writes zeros for sparsifying. */
  async giveUp(image: Qcow2Image): Promise<void> {
    const { length } = this.#start.guest;
    for (const [offset, zeros] of [
      [0, false],
      [20_000, true],
      [Math.floor(length / 3 / 512) * 512, false],
    ] as const) {
      const bytes = new Uint8Array(Math.min(8192, length - offset));
      this.#note({ offset, length: bytes.length, bytes: null });
      await (zeros ? image.write(offset, bytes) : image.writeZeroes(offset, bytes.length, { unmap: true }));
    }
  }

  async change(image: Qcow2Image, { run }: Change, size: number): Promise<void> {
    this.#note({ size, ended: false });
    await run(image, size);
    this.#note({ size, ended: true });
  }

  /** The size is known to be this one, though the change failed. */
  sized(size: number): void {
    this.#note({ size, ended: true });
  }

  #note(change: TimelineEntry['change']): void {
    this.#timeline.push({ at: 0, change } as TimelineEntry);
  }

  /** What is wrong with what the devices hold. */
  async judge(): Promise<string | null> {
    const { image: start, guest, backing, snapshot } = this.#start;
    const oracle = new Oracle(guest, this.#timeline);
    oracle.advance(0);
    const sources = [this.image, this.data].flatMap((device) =>
      device === null ? [] : [bufferSource(device.bytes())],
    );
    const touched = [{ offset: 0, length: 256 * 1024 }];
    return judge({ sources, backing, start, oracle, snapshot, touched, seed: 1 });
  }
}

/** Writes, of which some are flushed, and then a change; the error with which that ends, or closing. */
async function work(session: Session, image: Qcow2Image, change: Change, size: number): Promise<unknown> {
  try {
    await session.giveUp(image);
    await session.write(image, 1);
    await session.flush(image);
    await session.write(image, 4);
    await session.change(image, change, size);
    await image.close();
    return null;
  } catch (error) {
    return error;
  }
}

/** No disk with bitmaps can be of no bytes. */
function isPossible({ name }: DiskKind, { size }: Change): boolean {
  return size(1024) > 0 || !name.includes('bitmap');
}

/** The call that fails next: the first ones all, later ones at growing distances. */
function after(nth: number): number {
  return nth < 48 ? nth + 1 : Math.ceil(nth * 1.2);
}

const CASES = KINDS.flatMap((kind) =>
  CHANGES.filter((change) => isPossible(kind, change)).flatMap((change) => {
    const places = kind.name.includes('data file') ? [false, true] : [false];
    return places.map((inData) => {
      const where = inData ? ', failing in its data file' : '';
      return [`${kind.name}, which ${change.what}${where}`, kind, change, inData] as const;
    });
  }),
);

describe('changing an image on a device that fails', () => {
  it('is tried on every kind that is named', () => {
    expect(KINDS).toHaveLength(11);
  });

  it.each(CASES)('%s', async (_, kind, change, inData) => {
    const start = await startOf(kind);
    for (const call of ['write', 'flush', 'truncate'] as const) await failsAt(call, start, change, inData);
    await goesOnAfterReads(start, change, inData);
  });
});

async function failsAt(call: Call, start: StartDisk, change: Change, inData: boolean): Promise<void> {
  const size = change.size(start.guest.length);
  for (let nth = 0; ; nth = after(nth)) {
    const session = new Session(start, inData);
    const image = await session.open();
    const error = nth % 2 === 0 ? noSpace : plain;
    session.faulty.fault = { call, nth, error, promised: nth % 4 > 1, done: nth % 3 === 0 ? 0.5 : 0 };
    const failure = await work(session, image, change, size);
    if (failure !== null) {
      const own = inData ? (failure as Error).cause : failure;
      if (error === noSpace) expect(own).toBe(noSpace);
      else expect(own).toMatchObject({ name: 'Qcow2Error', code: 'io', cause: plain });
      await expect(change.run(image, size)).rejects.toMatchObject({ name: 'Qcow2Error' });
      await image.close().catch((reason: unknown) => expect(reason).toBe(failure));
    }
    expect(await session.judge(), `${call} ${nth}`).toBe(null);
    if (failure !== null) continue;
    if (!session.faulty.failed) return;
    // Where the quota is spent, the last cluster of a file need not be whole.
    expect([call, error]).toEqual(['truncate', noSpace]);
  }
}

async function goesOnAfterReads(start: StartDisk, change: Change, inData: boolean): Promise<void> {
  const size = change.size(start.guest.length);
  const { report: before } = await checkSource(bufferSource(start.image));
  for (let nth = 0; ; nth = after(nth)) {
    const session = new Session(start, inData);
    const image = await session.open();
    await session.giveUp(image);
    await session.write(image, 1);
    await session.flush(image);
    const reads = session.faulty.calls.filter(({ call }) => call === 'read').length;
    session.faulty.fault = { call: 'read', nth: nth + reads, error: plain, promised: nth % 2 === 0 };
    const failure = await session.change(image, change, size).catch((reason: unknown) => reason ?? null);
    session.faulty.fault = null;
    if (failure !== undefined) {
      expect(failure === plain || isQcow2Error(failure), String(failure)).toBe(true);
      session.sized(image.size);
      expect((await image.check()).leaks, `read ${nth}`).toBeLessThanOrEqual(before.leaks);
      await session.change(image, change, size);
    }
    await image.close();
    expect(await session.judge(), `read ${nth}`).toBe(null);
    const closed = await Qcow2Image.open(bufferDevice(session.image.bytes()), {
      resolve: async ({ kind }) => (kind === 'data' ? session.data!.bytes() : (start.backing ?? undefined)),
    });
    const { leaks, corruptions } = await closed.check();
    expect(corruptions, `read ${nth}`).toBe(0);
    expect(leaks, `read ${nth}`).toBeLessThanOrEqual(before.leaks);
    if (failure === undefined) return;
  }
}
