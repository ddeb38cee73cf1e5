/** Owns the workloads: what a seed makes a guest do with a disk, recorded with every write that reached the devices. */
import { Qcow2Image, type Resolved } from '../../src/index.js';
import { noiseOf, numbers } from '../support/numbers.js';
import { DeviceLog } from '../support/recording-device.js';
import type { DiskKind, StartDisk } from './disks.js';
import type { GuestChange, TimelineEntry } from './oracle.js';
import type { Fault } from './seams.js';
import { type StructuralCall, type StructuralVerb, structuralDisk } from './structural-verbs.js';

/** A workload that has run, to be crashed anywhere. */
export interface Recording {
  readonly kind: DiskKind;
  readonly seed: number;
  readonly start: StartDisk;
  readonly log: DeviceLog;
  readonly timeline: readonly TimelineEntry[];
  /** The parts of the disk that were touched. */
  readonly touched: readonly GuestRange[];
  /** What was done, for people. */
  readonly story: readonly string[];
}

/** Bytes of a disk. */
interface GuestRange {
  readonly offset: number;
  readonly length: number;
}

const starts = new Map<DiskKind, StartDisk>();

/** How a workload is run. */
export interface RecordOptions {
  /** A fault that the engine has meanwhile. */
  readonly fault?: Fault;
  /** What another workload left, to go on with; otherwise the image is fresh. */
  readonly left?: StartDisk;
  /** A verb that changes the structure of the image, which is called between the guest's changes. */
  readonly verb?: StructuralVerb;
}

/** Runs the workload that `seed` picks. The last thing that it does is to close the image. */
export async function record(kind: DiskKind, seed: number, options: RecordOptions = {}): Promise<Recording> {
  const { fault, left, verb } = options;
  const start = left ?? (await startOf(kind));
  const run = new Workload(kind, seed, start, verb ?? null);
  const repair = fault?.();
  try {
    await run.run();
  } finally {
    repair?.();
  }
  const { log, timeline, touched, story } = run;
  return { kind, seed, start, log, timeline, touched, story };
}

/** The image that every workload of a kind begins with. */
export async function startOf(kind: DiskKind): Promise<StartDisk> {
  const start = starts.get(kind) ?? (await kind.make());
  starts.set(kind, start);
  return start;
}

/** The window of a disk that workloads of its kind touch. */
export function windowOf({ window }: DiskKind, { guest }: StartDisk): GuestRange {
  return window ?? { offset: 0, length: guest.length };
}

/** Changes of the guest for one call of a verb. */
const CHANGES_PER_CALL = 4;
/** How far from the start and the end of a long disk the guest of a workload with a verb writes, bytes. */
const REACH = 256 * 1024;

class Workload {
  readonly log = new DeviceLog();
  readonly timeline: TimelineEntry[] = [];
  readonly touched: GuestRange[] = [];
  readonly story: string[] = [];
  readonly #next: () => number;
  /** Half of the workloads have hardly room for a table, so that a write-back comes at any time. */
  readonly #cramped: boolean;
  #image: Qcow2Image | null = null;
  #last: GuestChange | null = null;

  constructor(
    private readonly kind: DiskKind,
    seed: number,
    private readonly start: StartDisk,
    private readonly verb: StructuralVerb | null,
  ) {
    this.#next = numbers(seed);
    this.#cramped = seed % 2 === 0;
    this.touched.push(windowOf(kind, start));
    this.log.add(start.image);
    if (start.data !== null) this.log.add(start.data);
  }

  async run(): Promise<void> {
    await this.#open();
    for (let step = 0; step < this.kind.changes; step++) {
      if (this.verb !== null && step % CHANGES_PER_CALL === 1) await this.#call(this.verb, step);
      else await this.#change(step, this.#image!.size);
    }
    await this.#close();
  }

  async #open(): Promise<void> {
    const [device, data] = this.log.devices;
    const resolve = async ({ kind }: { kind: 'backing' | 'data' }): Promise<Resolved> =>
      kind === 'data' ? data : (this.start.backing ?? undefined);
    const cache = this.#cramped ? { l2Bytes: 2 * this.kind.clusterSize, refcountBytes: 0 } : undefined;
    this.#image = await Qcow2Image.open(device!, { mode: 'readwrite', resolve, cache });
  }

  async #change(step: number, size: number): Promise<void> {
    const choice = this.#next() % 100;
    if (size === 0) return;
    if (choice < 58) await this.#write(step, size);
    else if (choice < 70) await this.#zero(this.#next() % 2 === 0, size);
    else if (choice < 80) await this.#discard(size);
    else if (choice < 95) await this.#flush();
    else await this.#reopen();
  }

  async #write(step: number, size: number): Promise<void> {
    const { offset, length } = this.#range(size);
    const bytes = noiseOf(this.#next() ^ step, length);
    await this.#make({ offset, length, bytes }, `write ${offset} ${length}`, (image) => image.write(offset, bytes));
  }

  async #zero(unmap: boolean, size: number): Promise<void> {
    const { offset, length } = this.#range(size);
    const what = `zero ${offset} ${length}${unmap ? ', unmapped' : ''}`;
    await this.#make({ offset, length, bytes: null }, what, (image) => image.writeZeroes(offset, length, { unmap }));
  }

  async #discard(size: number): Promise<void> {
    if (this.kind.noDiscard) return this.#zero(true, size);
    const { offset, length } = this.#range(size);
    const change = { offset, length, bytes: null };
    await this.#make(change, `discard ${offset} ${length}`, (image) => image.discard(offset, length));
  }

  async #flush(): Promise<void> {
    this.#record('flush');
    await this.#image!.flush();
    this.timeline.push({ at: this.log.entries.length, change: null });
  }

  async #reopen(): Promise<void> {
    await this.#close();
    await this.#open();
  }

  async #close(): Promise<void> {
    this.#record('close');
    await this.#image!.close();
    this.timeline.push({ at: this.log.entries.length, change: null });
  }

  async #make(change: GuestChange, what: string, make: (image: Qcow2Image) => Promise<void>): Promise<void> {
    this.#record(what);
    this.timeline.push({ at: this.log.entries.length, change });
    this.#last = change;
    this.touched.push(change);
    await make(this.#image!);
  }

  /** Calls the verb: alone, beside a write, or until it is aborted. */
  async #call(verb: StructuralVerb, step: number): Promise<void> {
    const image = this.#image!;
    const before = image.size;
    const call = verb.draw(this.#next, structuralDisk(this.kind, this.start, before));
    const aborted = this.#next() % 4 === 0;
    const beside = this.#next() % 3 === 0 && Math.min(before, call.size) > 0;
    this.#record(`${call.what}${aborted ? ', aborted' : ''}${beside ? ', and beside it' : ''}`);
    this.timeline.push({ at: this.log.entries.length, change: { size: call.size, ended: false } });
    const done = run(call, image, aborted);
    if (beside) await this.#write(step, Math.min(before, call.size));
    await done;
    this.timeline.push({ at: this.log.entries.length, change: { size: image.size, ended: true } });
    if (!aborted && image.size !== call.size) throw new Error(`The disk has ${image.size} bytes after ${call.what}.`);
  }

  #record(what: string): void {
    this.story.push(`${this.log.entries.length}: ${what}`);
  }

  /** Where the guest writes: often where it has just written, at any byte, at sectors or at clusters. */
  #range(size: number): GuestRange {
    const { clusterSize } = this.kind;
    const window = this.#window(size);
    const unit = [1, 512, 512, Math.min(clusterSize, 4096), clusterSize, clusterSize][this.#next() % 6]!;
    const units = Math.max(1, Math.floor(window.length / unit));
    const last = Math.max(0, (this.#last?.offset ?? 0) - window.offset);
    const near = this.#last !== null && this.#next() % 3 === 0;
    const place = near ? Math.floor(last / unit) : this.#next() % units;
    const offset = window.offset + Math.min(place, units - 1) * unit;
    const maxUnits = unit === 1 ? 700 : Math.max(1, Math.min(4, Math.ceil((3 * clusterSize) / unit)));
    const length = (1 + (this.#next() % maxUnits)) * unit;
    return { offset, length: Math.min(length, window.offset + window.length - offset) };
  }

  /** What of a disk of `size` bytes the guest writes to now. */
  #window(size: number): GuestRange {
    if (this.verb === null) return windowOf(this.kind, this.start);
    const length = Math.min(size, REACH);
    switch (this.#next() % 3) {
      case 0:
        return { offset: 0, length };
      case 1:
        return { offset: size - length, length };
      default: {
        // Where a workload without a verb writes, if the disk reaches there.
        const { offset, length } = windowOf(this.kind, this.start);
        const from = Math.min(offset, size - 1);
        return { offset: from, length: Math.min(length, size - from) };
      }
    }
  }
}

/** Runs a call; if it is to be aborted, when it reports for the first time that it gets on. */
async function run(call: StructuralCall, image: Qcow2Image, abort: boolean): Promise<void> {
  if (!abort) {
    await call.run(image, {});
    return;
  }
  const aborting = new AbortController();
  const reason = new Error('enough');
  const onProgress = (): void => aborting.abort(reason);
  await call.run(image, { signal: aborting.signal, onProgress }).catch((error: unknown) => {
    if (error !== reason) throw error;
  });
}
