/** Owns the choice of crashes: for a place in a log, which of the possible states a seed picks. */
import type { ByteSource } from '../../src/index.js';
import { numbers } from '../support/numbers.js';
import { SECTOR } from '../support/power-cut.js';
import type { DeviceLog, LogEntry } from '../support/recording-device.js';
import { Medium, type MediumChoice } from './medium.js';

/** A choice for every device of a log. */
export type CrashChoice = readonly MediumChoice[];

/** A walk along a log, at each place of which power may be cut. */
export class CrashWalk {
  readonly #log: DeviceLog;
  readonly #media: readonly Medium[];
  /** How many entries have happened. */
  position = 0;

  constructor(log: DeviceLog) {
    this.#log = log;
    this.#media = log.devices.map(
      ({ initial, number }) => new Medium(initial, capacityOf(log, number, initial.length)),
    );
  }

  /** The entry that happens next, if any. */
  get next(): LogEntry | undefined {
    return this.#log.entries[this.position];
  }

  /** Goes one entry further. */
  step(): void {
    const entry = this.#log.entries[this.position];
    if (entry === undefined) throw new RangeError('The log has ended.');
    this.#media[entry.device]!.step(entry, this.position);
    this.position++;
  }

  /** How many sectors are neither surely there nor surely not. */
  get pendingSectors(): number {
    return this.#media.reduce((sum, medium) => sum + medium.pending.length, 0);
  }

  /** The state that `seed` picks of those that a power cut here can leave. */
  choose(seed: number): CrashChoice {
    const next = numbers(seed);
    const pick = pickOf(next, this.pendingSectors);
    return this.#media.map((medium) => {
      const versions = new Map<number, number>();
      for (const { sector, versions: made, writes } of medium.pending) {
        versions.set(sector, pick(made.length, writes));
      }
      const { sizes } = medium;
      return { versions, size: next() % 2 === 0 ? sizes.at(-1)! : sizes[next() % sizes.length]! };
    });
  }

  /** The state with everything on the medium. */
  complete(): CrashChoice {
    return this.#media.map(({ pending, sizes }) => ({
      versions: new Map(pending.map(({ sector, versions }) => [sector, versions.length - 1])),
      size: sizes.at(-1)!,
    }));
  }

  /** Lets `look` see every device as the choice leaves it. */
  crashed<T>(choice: CrashChoice, look: (sources: readonly ByteSource[]) => Promise<T>): Promise<T> {
    const sources: ByteSource[] = [];
    const from = (number: number): Promise<T> => {
      const medium = this.#media[number];
      if (medium === undefined) return look(sources);
      return medium.crashed(choice[number]!, (source) => {
        sources.push(source);
        return from(number + 1);
      });
    };
    return from(0);
  }
}

/** Picks a version of a sector that was written `count` times, by these writes; -1 is what was flushed before. */
type Pick = (count: number, writes: readonly number[]) => number;

/** One of several ways to lose power: what they leave differs, and so do the faults that they find. */
function pickOf(next: () => number, sectors: number): Pick {
  const anyVersion = (count: number): number => (next() % 4 === 0 ? (next() % (count + 1)) - 1 : count - 1);
  switch (next() % 6) {
    case 0: {
      // Each sector by itself, with odds that are the same for all.
      const odds = [10, 30, 50, 70, 90][next() % 5]!;
      return (count) => (next() % 100 < odds ? anyVersion(count) : -1);
    }
    case 1: {
      // All but one sector.
      let left = next() % Math.max(1, sectors);
      return (count) => (left-- === 0 ? -1 : count - 1);
    }
    case 2: {
      // One sector alone.
      let left = next() % Math.max(1, sectors);
      return (count) => (left-- === 0 ? anyVersion(count) : -1);
    }
    case 3: {
      // Whole writes, in any order.
      const landed = new Map<number, boolean>();
      const isLanded = (write: number): boolean => {
        const known = landed.get(write) ?? next() % 2 === 0;
        landed.set(write, known);
        return known;
      };
      return (_, writes) => writes.findLastIndex(isLanded);
    }
    case 4: {
      // Whole writes but one, which is torn.
      let torn: number | undefined;
      return (count, writes) => {
        if (next() % 3 === 0) torn ??= writes.at(-1);
        return writes.at(-1) === torn && next() % 2 === 0 ? anyVersion(count) : count - 1;
      };
    }
    default:
      return next() % 2 === 0 ? (count) => count - 1 : () => -1;
  }
}

/** The longest that a device ever is, in whole sectors. */
function capacityOf({ entries }: DeviceLog, device: number, initial: number): number {
  let maxLength = initial;
  for (const entry of entries) {
    if (entry.device !== device || entry.kind === 'flush') continue;
    maxLength = Math.max(maxLength, entry.kind === 'write' ? entry.at + entry.bytes.length : entry.size);
  }
  return Math.ceil(maxLength / SECTOR) * SECTOR;
}
