/** Collects what a repair does. */
import type { CopiedRange, DroppedStructure, Repair, RepairAction, RepairLoss } from '../../api/repair-report.js';

/** Ranges of each kind that are kept; neighbours are merged. */
const MAX_RANGES = 65_536;

/** The disk of which something is lost: the active one, or a snapshot's. */
interface LosingDisk {
  readonly snapshot: string | undefined;
  /** Bytes. Tables of snapshots also map machine state, past the end of the disk. */
  readonly size: number;
}

/** The log of one repair. */
export class RepairLog {
  /** The image was marked dirty or corrupt before the repair, which marks it corrupt itself. */
  readonly wasMarked: boolean;
  readonly dropped: DroppedStructure[] = [];
  readonly copied: CopiedRange[] = [];
  /** Bytes of all lost ranges. */
  lostBytes = 0;
  readonly #lost: RepairLoss[] = [];
  readonly #counts = new Map<RepairAction, number>();

  constructor(wasMarked = false) {
    this.wasMarked = wasMarked;
  }

  /** True once anything was repaired. */
  get changed(): boolean {
    return this.#counts.size > 0;
  }

  /** Counts repairs of one kind. */
  count(action: RepairAction, count = 1): void {
    if (count > 0) this.#counts.set(action, (this.#counts.get(action) ?? 0) + count);
  }

  get repairs(): Repair[] {
    return [...this.#counts].map(([action, count]) => ({ action, count }));
  }

  /** Adds a range of a disk whose bytes are lost. What lies past the end of the disk is left out. */
  lose({ size, snapshot }: LosingDisk, part: Omit<RepairLoss, 'snapshot'>): void {
    const range = { ...part, snapshot, length: Math.min(part.length, size - part.start) };
    if (range.length <= 0) return;
    this.lostBytes += range.length;
    const last = this.#lost.at(-1);
    const continues = last !== undefined && last.start + last.length === range.start;
    if (continues && last.snapshot === range.snapshot && last.readsBacking === range.readsBacking) {
      this.#lost[this.#lost.length - 1] = { ...last, length: last.length + range.length };
    } else if (this.#lost.length < MAX_RANGES) this.#lost.push(range);
  }

  /** Adds a range that was copied. */
  copy(range: CopiedRange): void {
    this.count('clusters-copied');
    if (this.copied.length < MAX_RANGES) this.copied.push(range);
  }

  /** The lost ranges: the active disk's first, each disk's in ascending order and merged. */
  get lost(): RepairLoss[] {
    const disks = new Map<string | undefined, RepairLoss[]>();
    for (const range of this.#lost) {
      const disk = disks.get(range.snapshot);
      if (disk === undefined) disks.set(range.snapshot, [range]);
      else disk.push(range);
    }
    const active = disks.get(undefined) ?? [];
    disks.delete(undefined);
    return [active, ...disks.values()].flatMap(merged);
  }
}

function merged(ranges: readonly RepairLoss[]): RepairLoss[] {
  const result: RepairLoss[] = [];
  for (const range of ranges.toSorted((a, b) => a.start - b.start)) {
    const last = result.at(-1);
    const end = last === undefined ? -1 : last.start + last.length;
    if (last === undefined || range.start > end || last.readsBacking !== range.readsBacking) result.push(range);
    else result[result.length - 1] = { ...last, length: Math.max(end, range.start + range.length) - last.start };
  }
  return result;
}
