/** Owns the workloads: what a seed makes a guest do with a disk, recorded with every write that reached the devices. */
import { Qcow2Image, type Resolved } from '../../src/index.js';
import { noiseOf, numbers } from '../support/numbers.js';
import { DeviceLog } from '../support/recording-device.js';
import type { DiskKind, StartDisk } from './disks.js';
import type { GuestChange, TimelineEntry } from './oracle.js';
import type { Fault } from './seams.js';

/** A workload that has run, to be crashed anywhere. */
export interface Recording {
  readonly kind: DiskKind;
  readonly seed: number;
  readonly start: StartDisk;
  readonly log: DeviceLog;
  readonly timeline: readonly TimelineEntry[];
  /** What was done, for people. */
  readonly story: readonly string[];
}

const starts = new Map<DiskKind, StartDisk>();

/** How a workload is run. */
export interface RecordOptions {
  /** A fault that the engine has meanwhile. */
  readonly fault?: Fault;
  /** What another workload left, to go on with; otherwise the image is fresh. */
  readonly left?: StartDisk;
}

/** Runs the workload that `seed` picks. The last thing that it does is to close the image. */
export async function record(kind: DiskKind, seed: number, { fault, left }: RecordOptions = {}): Promise<Recording> {
  const start = left ?? starts.get(kind) ?? (await kind.make());
  if (left === undefined) starts.set(kind, start);
  const run = new Workload(kind, seed, start);
  const repair = fault?.();
  try {
    await run.run();
  } finally {
    repair?.();
  }
  return { kind, seed, start, log: run.log, timeline: run.timeline, story: run.story };
}

/** The window of a disk that workloads of its kind touch. */
export function windowOf({ window }: DiskKind, { guest }: StartDisk): { offset: number; length: number } {
  return window ?? { offset: 0, length: guest.length };
}

class Workload {
  readonly log = new DeviceLog();
  readonly timeline: TimelineEntry[] = [];
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
  ) {
    this.#next = numbers(seed);
    this.#cramped = seed % 2 === 0;
    this.log.add(start.image);
    if (start.data !== null) this.log.add(start.data);
  }

  async run(): Promise<void> {
    await this.#open();
    for (let step = 0; step < this.kind.changes; step++) {
      const choice = this.#next() % 100;
      if (choice < 58) await this.#write(step);
      else if (choice < 70) await this.#zero(this.#next() % 2 === 0);
      else if (choice < 80) await this.#discard();
      else if (choice < 95) await this.#flush();
      else await this.#reopen();
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

  async #write(step: number): Promise<void> {
    const { offset, length } = this.#range();
    const bytes = noiseOf(this.#next() ^ step, length);
    await this.#change({ offset, length, bytes }, `write ${offset} ${length}`, (image) => image.write(offset, bytes));
  }

  async #zero(unmap: boolean): Promise<void> {
    const { offset, length } = this.#range();
    const what = `zero ${offset} ${length}${unmap ? ', unmapped' : ''}`;
    await this.#change({ offset, length, bytes: null }, what, (image) => image.writeZeroes(offset, length, { unmap }));
  }

  async #discard(): Promise<void> {
    if (this.kind.noDiscard) return this.#zero(true);
    const { offset, length } = this.#range();
    const change = { offset, length, bytes: null };
    await this.#change(change, `discard ${offset} ${length}`, (image) => image.discard(offset, length));
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

  async #change(change: GuestChange, what: string, make: (image: Qcow2Image) => Promise<void>): Promise<void> {
    this.#record(what);
    this.timeline.push({ at: this.log.entries.length, change });
    this.#last = change;
    await make(this.#image!);
  }

  #record(what: string): void {
    this.story.push(`${this.log.entries.length}: ${what}`);
  }

  /** Where the guest writes: often where it has just written, at any byte, at sectors or at clusters. */
  #range(): { offset: number; length: number } {
    const { clusterSize } = this.kind;
    const window = windowOf(this.kind, this.start);
    const unit = [1, 512, 512, Math.min(clusterSize, 4096), clusterSize, clusterSize][this.#next() % 6]!;
    const units = Math.max(1, Math.floor(window.length / unit));
    const near = this.#last !== null && this.#next() % 3 === 0;
    const place = near ? Math.floor((this.#last!.offset - window.offset) / unit) : this.#next() % units;
    const offset = window.offset + Math.min(place, units - 1) * unit;
    const maxUnits = unit === 1 ? 700 : Math.max(1, Math.min(4, Math.ceil((3 * clusterSize) / unit)));
    const length = (1 + (this.#next() % maxUnits)) * unit;
    return { offset, length: Math.min(length, window.offset + window.length - offset) };
  }
}
