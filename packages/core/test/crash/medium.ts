/**
 * Owns what a medium may hold after a power cut. What was flushed is there. Of what was written since, every 512-byte
 * sector, at absolute borders, is there or not, whatever became of its neighbours: as it was before, or as any of the
 * writes since left it. The length is the one that was flushed, or any since.
 */
import type { ByteSource, Transfer } from '../../src/index.js';
import { SECTOR } from '../support/power-cut.js';
import type { LogEntry } from '../support/recording-device.js';

/** One sector that was written since the flush: what it was after each write, oldest first. */
export interface PendingSector {
  readonly sector: number;
  readonly versions: readonly Uint8Array[];
  /** The writes that made the versions, by their place in the log. */
  readonly writes: readonly number[];
}

/**
 * A choice among the states that are possible: the version of each pending sector, -1 for what was flushed; and a
 * length.
 */
export interface MediumChoice {
  readonly versions: ReadonlyMap<number, number>;
  readonly size: number;
}

/**
 * One device's medium while a log is walked. It is changed in place for each crash, and changed back: nothing is
 * copied.
 */
export class Medium {
  /** What was flushed; while a crash is looked at, what that crash left. */
  readonly #bytes: Uint8Array;
  /** What the device would read: everything written, flushed or not. */
  readonly #cache: Uint8Array;
  #size: number;
  #cacheSize: number;
  #pending = new Map<number, { sector: number; versions: Uint8Array[]; writes: number[] }>();
  #sizes: number[] = [];
  #shown: number;

  /** `capacity` is the longest that the device ever is. */
  constructor(initial: Uint8Array, capacity: number) {
    this.#bytes = new Uint8Array(capacity);
    this.#bytes.set(initial);
    this.#cache = this.#bytes.slice();
    this.#size = initial.length;
    this.#cacheSize = initial.length;
    this.#shown = initial.length;
  }

  /** The sectors that may be on the medium or not. */
  get pending(): readonly PendingSector[] {
    return [...this.#pending.values()];
  }

  /** The lengths that the file may have. */
  get sizes(): readonly number[] {
    return [this.#size, ...this.#sizes];
  }

  /** Goes one entry further. */
  step(entry: LogEntry, index: number): void {
    if (entry.kind === 'flush') this.#flush();
    else if (entry.kind === 'write') {
      this.#cache.set(entry.bytes, entry.at);
      this.#note(entry.at, entry.at + entry.bytes.length, index);
      this.#resize(Math.max(this.#cacheSize, entry.at + entry.bytes.length));
    } else {
      const end = Math.max(entry.size, this.#cacheSize);
      this.#cache.fill(0, entry.size, end);
      this.#note(entry.size, end, index);
      this.#resize(entry.size);
    }
  }

  /** Lets `look` see the medium as a crash with this choice leaves it. */
  async crashed<T>({ versions, size }: MediumChoice, look: (source: ByteSource) => Promise<T>): Promise<T> {
    const saved: [number, Uint8Array][] = [];
    for (const [sector, version] of versions) {
      if (version < 0) continue;
      const at = sector * SECTOR;
      saved.push([at, this.#bytes.slice(at, at + SECTOR)]);
      this.#bytes.set(this.#pending.get(sector)!.versions[version]!, at);
    }
    this.#shown = size;
    try {
      return await look(this.#source());
    } finally {
      for (const [at, bytes] of saved) this.#bytes.set(bytes, at);
      this.#shown = this.#size;
    }
  }

  #source(): ByteSource {
    const size = this.#shown;
    return {
      size,
      read: (transfers: readonly Transfer[]) => {
        for (const { at, bytes } of transfers) {
          const there = this.#bytes.subarray(Math.min(at, size), Math.min(at + bytes.length, size));
          bytes.set(there);
          bytes.fill(0, there.length);
        }
      },
    };
  }

  #flush(): void {
    for (const sector of this.#pending.keys()) {
      const at = sector * SECTOR;
      this.#bytes.set(this.#cache.subarray(at, at + SECTOR), at);
    }
    this.#pending.clear();
    this.#sizes = [];
    this.#size = this.#cacheSize;
    this.#shown = this.#size;
  }

  #note(from: number, to: number, index: number): void {
    for (let sector = Math.floor(from / SECTOR); sector * SECTOR < to; sector++) {
      const version = this.#cache.slice(sector * SECTOR, (sector + 1) * SECTOR);
      const pending = this.#pending.get(sector) ?? { sector, versions: [], writes: [] };
      pending.versions.push(version);
      pending.writes.push(index);
      this.#pending.set(sector, pending);
    }
  }

  #resize(size: number): void {
    if (size !== this.#cacheSize) this.#sizes.push(size);
    this.#cacheSize = size;
  }
}
