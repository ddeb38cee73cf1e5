/**
 * Snapshots beside `qemu-img snapshot`: on images of every kind they are taken, applied, renamed and deleted by this
 * library and by QEMU in turns, with writes in between. Each reads what the other has made; every snapshot and the disk
 * have their bytes, and both checks find nothing.
 */
import { describe, expect, it } from 'vitest';
import { bufferDevice, Qcow2Image } from '../../src/index.js';
import { KINDS, type Kind, type Made, make } from '../model/kinds.js';
import { expectSame } from '../support/expect-same.js';
import { noiseOf, numbers } from '../support/numbers.js';
import { Paranoia } from '../support/paranoid.js';
import { QemuFolder } from '../support/qemu.js';

const STEPS = 5;
const RUNS = Number(process.env.QCOW2_SNAPSHOT_RUNS ?? 1);
const IMAGE = 'image.qcow2';

const folder = new QemuFolder('snapshots');
const paranoia = new Paranoia();

/** An image, what its disk contains, and what its snapshots do, by id. */
class Session {
  image!: Qcow2Image;
  disk: Uint8Array<ArrayBuffer>;
  readonly snapshots = new Map<string, Uint8Array<ArrayBuffer>>();
  #bytes: Uint8Array<ArrayBuffer>;
  #device!: ReturnType<typeof bufferDevice>;
  readonly #kind: Kind;
  readonly #made: Made;
  readonly next: () => number;

  constructor(kind: Kind, made: Made, seed: number) {
    this.#kind = kind;
    this.#made = made;
    this.#bytes = made.image;
    this.disk = made.disk.slice();
    this.next = numbers(seed);
  }

  async open(): Promise<void> {
    this.#device = bufferDevice(this.#bytes);
    this.image = await Qcow2Image.open(this.#device, {
      mode: 'readwrite',
      resolve: async ({ name }) => this.#made.files.get(name),
    });
    paranoia.start();
  }

  async close(): Promise<void> {
    paranoia.check();
    paranoia.stop();
    await this.image.close();
    this.#bytes = this.#device.bytes();
  }

  /** The snapshots that the image had at first. */
  async adopt(): Promise<void> {
    for (const { id, name } of this.image.snapshots) this.snapshots.set(id, this.#made.snapshots.get(name)!);
  }

  async write(times: number): Promise<void> {
    const { unit, discards } = this.#kind;
    for (let time = 0; time < times; time++) {
      const at = Math.floor((this.next() % this.disk.length) / 512) * 512;
      const length = Math.min(this.disk.length - at, (1 + (this.next() % 5)) * Math.min(unit, 100_000));
      if (this.next() % 4 > 0 || !discards) {
        const bytes = noiseOf(this.next(), length);
        this.disk.set(bytes, at);
        await this.image.write(at, bytes);
      } else {
        this.disk.fill(0, at, at + length);
        await this.image.discard(at, length);
      }
    }
  }

  /** True if a refcount is at most 3: the disk and two snapshots may refer to a cluster. */
  get isNarrow(): boolean {
    return this.#kind.options.includes('refcount_bits=2');
  }

  /** Some snapshot, if there is any. */
  get some(): string | undefined {
    return [...this.snapshots.keys()][this.next() % Math.max(1, this.snapshots.size)];
  }

  /** What QEMU does to the image, between closing and opening it. */
  async byQemu(...args: readonly string[]): Promise<void> {
    await this.close();
    folder.put(IMAGE, this.#bytes);
    folder.img('snapshot', ...args, IMAGE);
    this.#bytes = folder.get(IMAGE);
    await this.open();
  }

  async expectWhole(): Promise<void> {
    expect((await this.image.check({ deep: true })).findings).toEqual([]);
    expectSame(await this.image.read(0, this.image.size), this.disk);
    expect(this.image.snapshots.map(({ id }) => id).sort()).toEqual([...this.snapshots.keys()].sort());
    for (const [id, content] of this.snapshots) {
      const view = await this.image.openSnapshot({ id });
      expectSame(await view.read(0, view.size), content);
      await view.close();
    }
  }

  async judge(): Promise<void> {
    await this.close();
    folder.put(IMAGE, this.#bytes);
    const check = folder.tryImg('check', '-f', 'qcow2', IMAGE);
    expect(check, check.out + check.error).toMatchObject({ status: 0 });
    expectSame(folder.raw(IMAGE), this.disk);
    for (const [id, content] of this.snapshots) {
      // QEMU shows a snapshot at the size that the disk has.
      const common = Math.min(content.length, this.disk.length);
      expectSame(folder.raw(IMAGE, id).subarray(0, common), content.subarray(0, common));
    }
    await this.open();
  }
}

/** One verb, by us or by QEMU. */
async function step(session: Session, which: number): Promise<void> {
  const { image, snapshots, disk } = session;
  const byQemu = session.next() % 3 === 0;
  const some = session.some;
  if (which % 4 < 2 || some === undefined) {
    const before = new Set(snapshots.keys());
    if (snapshots.size > 1 && session.isNarrow) {
      await expect(image.createSnapshot('too many')).rejects.toMatchObject({ code: 'unsupported' });
      return;
    }
    const name = `taken ${before.size} ${session.next()}`;
    if (byQemu) await session.byQemu('-c', name);
    else await image.createSnapshot(name);
    const added = session.image.snapshots.filter(({ id }) => !before.has(id));
    expect(added).toHaveLength(1);
    snapshots.set(added[0]!.id, disk.slice());
  } else if (which % 4 === 2) {
    // QEMU deletes by name, and applies by id or name.
    const { name } = image.snapshots.find(({ id }) => id === some)!;
    if (byQemu) await session.byQemu('-d', name);
    else await image.deleteSnapshot({ id: some });
    snapshots.delete(some);
  } else if (image.bitmaps.length > 0 || (session.isNarrow && snapshots.size > 1)) {
    // The bitmaps would not mark what becomes different; a refcount of two bits cannot count the disk twice.
    await expect(image.applySnapshot({ id: some })).rejects.toMatchObject({ code: 'unsupported' });
  } else {
    if (byQemu) await session.byQemu('-a', some);
    else await image.applySnapshot({ id: some });
    session.disk = snapshots.get(some)!.slice();
  }
}

const CASES = KINDS.filter(({ dataFile }) => !dataFile).map((kind) => [kind.name, kind] as const);

describe('snapshots', () => {
  it.each(CASES)('of %s', async (_, kind) => {
    for (let run = 0; run < RUNS; run++) {
      const session = new Session(kind, make(folder, kind), run * 1000 + kind.name.length);
      await session.open();
      await session.adopt();
      if (kind.options.includes('refcount_bits=1,') || kind.options.endsWith('refcount_bits=1')) {
        await session.write(3);
        await expect(session.image.createSnapshot('one')).rejects.toMatchObject({ code: 'unsupported' });
        await session.expectWhole();
        continue;
      }
      for (let at = 0; at < STEPS; at++) {
        await session.write(1 + (session.next() % 5));
        await step(session, session.next());
        if (session.next() % 3 === 0) await session.expectWhole();
      }
      await session.expectWhole();
      await session.judge();
      await session.close();
    }
  });
});
