/** Owns what a guest may read after a crash: what `flush` acknowledged, or what was written since, and nothing else. */

/** A change of the guest's disk; null bytes are zeros. */
export interface GuestChange {
  readonly offset: number;
  readonly length: number;
  readonly bytes: Uint8Array | null;
}

/** What happened to the disk, and at which place of the devices' log. */
export type TimelineEntry =
  /** A change begins. */
  | { readonly at: number; readonly change: GuestChange }
  /** A flush has returned: every change before it is acknowledged. */
  | { readonly at: number; readonly change: null };

/** How many bytes are compared at once: where they are all as expected, no byte is looked at by itself. */
const CHUNK = 512;

/** The disk as an array, at one place of the timeline. */
export class Oracle {
  /** What the last flush acknowledged, and what the guest would read now. */
  readonly #acknowledged: Uint8Array;
  readonly #latest: Uint8Array;
  #pending: GuestChange[] = [];
  readonly #timeline: readonly TimelineEntry[];
  #next = 0;

  constructor(guest: Uint8Array, timeline: readonly TimelineEntry[]) {
    this.#acknowledged = guest.slice();
    this.#latest = guest.slice();
    this.#timeline = timeline;
  }

  get size(): number {
    return this.#acknowledged.length;
  }

  /** Goes to the place of the log at which `position` entries have happened. */
  advance(position: number): void {
    for (; this.#next < this.#timeline.length && this.#timeline[this.#next]!.at <= position; this.#next++) {
      const { change } = this.#timeline[this.#next]!;
      if (change === null) {
        for (const acknowledged of this.#pending) apply(this.#acknowledged, acknowledged);
        this.#pending = [];
      } else {
        apply(this.#latest, change);
        this.#pending.push(change);
      }
    }
  }

  /** What is wrong with bytes that were read from `offset` on; null when every one of them may be. */
  judge(offset: number, bytes: Uint8Array): string | null {
    const acknowledged = this.#acknowledged.subarray(offset, offset + bytes.length);
    if (same(bytes, acknowledged)) return null;
    for (let at = 0; at < bytes.length; at += CHUNK) {
      const end = Math.min(at + CHUNK, bytes.length);
      const chunk = bytes.subarray(at, end);
      if (same(chunk, acknowledged.subarray(at, end))) continue;
      if (same(chunk, this.#latest.subarray(offset + at, offset + end))) continue;
      const wrong = chunk.findIndex((byte, index) => !this.#admits(offset + at + index, byte));
      if (wrong >= 0) return this.#complaint(offset + at + wrong, chunk[wrong]!);
    }
    return null;
  }

  #admits(at: number, byte: number): boolean {
    if (this.#acknowledged[at] === byte) return true;
    return this.#pending.some((change) => covers(change, at) && byteOf(change, at) === byte);
  }

  #complaint(at: number, byte: number): string {
    const since = this.#pending.filter((change) => covers(change, at)).map((change) => byteOf(change, at));
    const also =
      since.length === 0 ? 'and nothing was written since' : `and since then ${since.join(', ')} was written`;
    return `guest byte ${at} reads as ${byte}; acknowledged is ${this.#acknowledged[at]}, ${also}`;
  }
}

function covers({ offset, length }: GuestChange, at: number): boolean {
  return at >= offset && at < offset + length;
}

function byteOf({ offset, bytes }: GuestChange, at: number): number {
  return bytes === null ? 0 : bytes[at - offset]!;
}

function apply(disk: Uint8Array, { offset, length, bytes }: GuestChange): void {
  if (bytes === null) disk.fill(0, offset, offset + length);
  else disk.set(bytes, offset);
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
