/**
 * Computes what a guest may read after a crash: what `flush` acknowledged, or what was written since, and nothing else.
 * Computes also how long its disk may be.
 */
import { SparseDisk } from './sparse-disk.js';

/** A change of the guest's disk; null bytes are zeros. */
export interface GuestChange {
  readonly offset: number;
  readonly length: number;
  readonly bytes: Uint8Array | null;
}

/** A change of the disk's size begins, or has ended with this size. */
export interface SizeChange {
  readonly size: number;
  readonly ended: boolean;
}

/** What happened to the disk, and at which place of the devices' log. */
export type TimelineEntry =
  /** A change begins, or a change of the size does or has ended. */
  | { readonly at: number; readonly change: GuestChange | SizeChange }
  /** A flush has returned: every change before it is acknowledged. */
  | { readonly at: number; readonly change: null };

/** How many bytes are compared at once: where they are all as expected, no byte is looked at by itself. */
const CHUNK = 512;

/** The disk as an array, at one place of the timeline. */
export class Oracle {
  /** What the last flush acknowledged, and what the guest would read now. Their size is that on the medium. */
  readonly #acknowledged: SparseDisk;
  readonly #latest: SparseDisk;
  readonly #start: SparseDisk;
  readonly #startSize: number;
  /** The smallest size that was on the medium. */
  #least: number;
  /** The size that the disk has or not, while it is changed. */
  #nextSize: number | null = null;
  #pending: GuestChange[] = [];
  readonly #timeline: readonly TimelineEntry[];
  #next = 0;

  constructor(guest: Uint8Array, timeline: readonly TimelineEntry[]) {
    this.#acknowledged = new SparseDisk(guest);
    this.#latest = new SparseDisk(guest);
    this.#start = new SparseDisk(guest);
    this.#startSize = guest.length;
    this.#least = guest.length;
    this.#timeline = timeline;
  }

  /** The sizes that the disk may have. */
  get sizes(): readonly number[] {
    const { size } = this.#acknowledged;
    return this.#nextSize === null ? [size] : [size, this.#nextSize];
  }

  /** The disk as it was at first, but for what was cut off since: bitmaps have no bits for that. */
  get start(): SparseDisk {
    return this.#start;
  }

  /** The size at first. */
  get startSize(): number {
    return this.#startSize;
  }

  /** The smallest size that the disk has had. */
  get least(): number {
    return this.#least;
  }

  /** Goes to the place of the log at which `position` entries have happened. */
  advance(position: number): void {
    for (; this.#next < this.#timeline.length && this.#timeline[this.#next]!.at <= position; this.#next++) {
      const { change } = this.#timeline[this.#next]!;
      if (change === null) {
        for (const acknowledged of this.#pending) apply(this.#acknowledged, acknowledged);
        this.#pending = [];
      } else if ('size' in change) this.#resize(change);
      else {
        apply(this.#latest, change);
        this.#pending.push(change);
      }
    }
  }

  /** What is wrong with bytes that were read from `offset` on; null when every one of them may be. */
  judge(offset: number, bytes: Uint8Array): string | null {
    if (this.#acknowledged.equals(offset, bytes)) return null;
    for (let at = 0; at < bytes.length; at += CHUNK) {
      const chunk = bytes.subarray(at, Math.min(at + CHUNK, bytes.length));
      if (this.#acknowledged.equals(offset + at, chunk)) continue;
      if (this.#latest.equals(offset + at, chunk)) continue;
      const acknowledged = this.#acknowledged.read(offset + at, chunk.length);
      const wrong = chunk.findIndex(
        (byte, index) => byte !== acknowledged[index] && !this.#wasWritten(offset + at + index, byte),
      );
      if (wrong >= 0) return this.#complaint(offset + at + wrong, chunk[wrong]!);
    }
    return null;
  }

  #resize({ size, ended }: SizeChange): void {
    this.#nextSize = ended ? null : size;
    if (!ended) return;
    this.#least = Math.min(this.#least, size);
    for (const disk of [this.#acknowledged, this.#latest, this.#start]) disk.resize(size);
    this.#pending = this.#pending.map((change) => {
      return { ...change, length: Math.max(0, Math.min(change.length, size - change.offset)) };
    });
  }

  #wasWritten(at: number, byte: number): boolean {
    return this.#pending.some((change) => covers(change, at) && byteOf(change, at) === byte);
  }

  #complaint(at: number, byte: number): string {
    const since = this.#pending.filter((change) => covers(change, at)).map((change) => byteOf(change, at));
    const also =
      since.length === 0 ? 'and nothing was written since' : `and since then ${since.join(', ')} was written`;
    return `guest byte ${at} reads as ${byte}; acknowledged is ${this.#acknowledged.read(at, 1)[0]}, ${also}`;
  }
}

function covers({ offset, length }: GuestChange, at: number): boolean {
  return at >= offset && at < offset + length;
}

function byteOf({ offset, bytes }: GuestChange, at: number): number {
  return bytes === null ? 0 : bytes[at - offset]!;
}

function apply(disk: SparseDisk, { offset, length, bytes }: GuestChange): void {
  disk.write(offset, length, bytes);
}
