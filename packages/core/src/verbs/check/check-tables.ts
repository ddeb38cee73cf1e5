/** Walks over L1 and L2 tables for a check: counts every reference, and checks every entry. */

import type { Fault, Finding, Impact } from '../../api/check-report.js';
import { hex, viewOf } from '../../format/bytes.js';
import { getL1Entry, getL2Entry, l2TableOffset, type Mapping } from '../../format/entries.js';
import {
  COMPRESSED_BITMAP,
  COMPRESSED_DATA_FILE,
  COPIED_COMPRESSED,
  DATA_FILE_OFFSET,
  l2Faults,
  RESERVED_BITS,
  SUBCLUSTERS_BOTH,
  SUBCLUSTERS_NOWHERE,
  UNALIGNED,
  ZERO_FLAG,
} from '../../format/entry-faults.js';
import { isEmptyEntry } from '../../format/plain-entries.js';
import { describeAnyFault, faultsIn, l1Faults } from '../../format/table-faults.js';
import type { CheckContext } from './check-context.js';
import type { RefcountsOnDisk } from './check-refcounts.js';
import { type L1Table, l1EntryPlace, l2EntryPlace } from './l1-table.js';
import { miscopiedRun } from './miscopied-entries.js';
import type { Place } from './place.js';
import { countPlainEntries, type PlainCounting } from './plain-entries.js';
import { readClusters } from './read-clusters.js';

/**
 * How a check reports the faults of entries. What makes an entry refer past the end of the file is reported as that, as
 * QEMU does.
 */
const REPORTED: ReadonlyMap<number, Reported> = new Map([
  [RESERVED_BITS, { kind: 'corruption', fault: 'reserved-bits', impact: 'data-doubtful' }],
  [UNALIGNED, { kind: 'corruption', fault: 'unaligned', impact: 'data-doubtful' }],
  [COPIED_COMPRESSED, { kind: 'corruption', fault: 'copied-compressed', impact: 'bookkeeping' }],
  [COMPRESSED_BITMAP, { kind: 'corruption', fault: 'subclusters', impact: 'data-doubtful' }],
  [COMPRESSED_DATA_FILE, { kind: 'corruption', fault: 'external-data', impact: 'data-doubtful' }],
  [ZERO_FLAG, { kind: 'extra', fault: 'zero-flag', impact: 'data-doubtful' }],
  [SUBCLUSTERS_BOTH, { kind: 'corruption', fault: 'subclusters', impact: 'data-doubtful' }],
  [SUBCLUSTERS_NOWHERE, { kind: 'corruption', fault: 'subclusters', impact: 'data-doubtful' }],
  [DATA_FILE_OFFSET, { kind: 'extra', fault: 'data-file-offset', impact: 'data-doubtful' }],
]);

/** How one fault is reported. */
interface Reported {
  readonly kind: Finding['kind'];
  readonly fault: Fault;
  readonly impact: Impact;
}

/** The faults with which a compressed cluster is not counted, as in QEMU. */
const UNCOUNTED = COMPRESSED_BITMAP | COMPRESSED_DATA_FILE;

/** The allocation figures of the active disk. */
export interface Allocation {
  allocated: number;
  fragmented: number;
  compressed: number;
}

/**
 * An entry past the end of the file. Only a refcount block that is read later shows whether its COPIED flag is right.
 */
interface LateEntry {
  readonly cluster: number;
  readonly copied: boolean;
  readonly place: Place;
}

/** Walks L1 tables and the L2 tables that they refer to. */
export class TableWalk {
  readonly allocation: Allocation = { allocated: 0, fragmented: 0, compressed: 0 };
  readonly #context: CheckContext;
  readonly #refcounts: RefcountsOnDisk;
  readonly #yieldIfDue: () => Promise<void>;
  #late: LateEntry[] = [];
  /** The cluster that would follow the last entry's without a gap; 0 before the first. */
  #next = 0;
  /**
   * False for the table at offset 0: an L1 entry with flags and no offset refers to no table, but QEMU counts the
   * entries that the header would be.
   */
  #reachable = true;
  readonly #counting: PlainCounting;

  constructor(context: CheckContext, refcounts: RefcountsOnDisk, yieldIfDue: () => Promise<void>) {
    this.#context = context;
    this.#refcounts = refcounts;
    this.#yieldIfDue = yieldIfDue;
    const { geometry, clusters, maxRefcount, references } = context;
    this.#counting = {
      clusterBits: geometry.clusterBits,
      clusters,
      maxRefcount,
      references,
      refcounts: refcounts.counts,
    };
  }

  /** Walks one L1 table and everything below it; `progress` takes how many of its entries are done. */
  async walk(table: L1Table, progress: (entries: number) => void): Promise<void> {
    const context = this.#context;
    if (table.entries === 0) return;
    context.refer(table.at, table.entries * 8, 'metadata', () => ({ what: `L1 table${table.of}`, at: table.at }));
    const l1 = viewOf(await context.read(table.at, table.entries * 8));
    await readClusters(context, this.#l2Tables(table, l1), {
      visit: ({ index, offset }, bytes) => {
        this.#l2Table(table, index, offset, viewOf(bytes));
        return this.#late.length > 0 ? this.#checkLate() : undefined;
      },
      afterBatch: async ({ index }) => {
        progress(index);
        await this.#yieldIfDue();
      },
    });
    progress(table.entries);
  }

  /** Checks the entries of an L1 table, and yields the L2 tables of those that have one. */
  async *#l2Tables(table: L1Table, l1: DataView): AsyncGenerator<{ readonly index: number; readonly offset: number }> {
    const seen = new Set<number>();
    for (let index = 0; index * 8 + 8 <= l1.byteLength; index++) {
      const offset = this.#l1Entry(table, l1, index);
      if (offset !== null) this.#checkRepeated(table, index, offset, seen);
      if (this.#late.length > 0) await this.#checkLate();
      if (offset !== null) yield { index, offset };
    }
  }

  /** No writer makes an L1 table that refers to an L2 table twice. QEMU accepts it when the refcount allows it. */
  #checkRepeated(table: L1Table, index: number, offset: number, seen: Set<number>): void {
    if (seen.has(offset)) {
      const { findings, geometry } = this.#context;
      const cluster = Math.floor(offset / geometry.clusterSize);
      const message = () => `It refers to the L2 table at ${hex(offset)}, as another entry does.`;
      findings.addShared('extra', 'overlap', cluster, l1EntryPlace(geometry, table, index), message);
    }
    seen.add(offset);
  }

  /** Checks an L1 entry; returns the offset of its table, or null when it has none. */
  #l1Entry(table: L1Table, l1: DataView, index: number): number | null {
    const context = this.#context;
    if (isEmptyEntry(l1, index * 8)) return null;
    const offset = l2TableOffset(l1, index);
    const place = () => l1EntryPlace(context.geometry, table, index);
    this.#report(l1Faults(context.geometry, l1, index), offset, place);
    context.refer(offset, context.geometry.clusterSize, 'table', place);
    if (table.active && offset !== 0) this.#checkCopied(offset, getL1Entry(l1, index).owned, place);
    // Past the end of the file there are zeros, and so no entries.
    return offset < context.fileSize ? offset : null;
  }

  #l2Table(l1: L1Table, index: number, tableAt: number, table: DataView): void {
    const { geometry } = this.#context;
    const { extendedL2, externalData, l2EntrySize } = geometry;
    let at = 0;
    // Made once for each table, not for each entry: they are called only for a finding.
    const placeOf = (entry: number) => {
      const { maps, ...named } = l2EntryPlace(geometry, l1, index, tableAt, entry);
      return this.#reachable && maps !== undefined ? { ...named, maps } : named;
    };
    const place = () => placeOf(at / l2EntrySize);
    this.#next = 0;
    this.#reachable = tableAt !== 0;
    const plain = !extendedL2 && !externalData && this.#refcounts.readable;
    for (; at < table.byteLength; at += l2EntrySize) {
      if (plain) at = this.#plainEntries(table, at, l1.active);
      if (plain && l1.active && this.#reachable) at = this.#miscopiedEntries(table, at, placeOf);
      if (at === table.byteLength) return;
      this.#entry(table, at, l1.active, index, place);
    }
  }

  /** As {@link countPlainEntries}, for entries whose COPIED flags alone are wrong: they are one finding. */
  #miscopiedEntries(table: DataView, from: number, placeOf: (entry: number) => Place): number {
    const run = miscopiedRun(table, from, this.#counting);
    if (run === null) return from;
    const { end, refcount, copied } = run;
    const at = this.#plainEntries(new DataView(table.buffer, table.byteOffset, end), from, true, false);
    if (at > from) this.#copied(refcount, copied, (index) => placeOf(from / 8 + index), (at - from) / 8);
    return at;
  }

  /** As {@link countPlainEntries}. */
  #plainEntries(table: DataView, from: number, active: boolean, checkCopied = active && this.#reachable): number {
    const figures = { allocated: 0, fragmented: 0, next: this.#next };
    const at = countPlainEntries(table, from, this.#counting, checkCopied, figures);
    if (active) {
      this.allocation.allocated += figures.allocated;
      this.allocation.fragmented += figures.fragmented;
      this.#next = figures.next;
    }
    return at;
  }

  #entry(table: DataView, at: number, active: boolean, l1Index: number, place: () => Place): void {
    const { geometry } = this.#context;
    const index = at / geometry.l2EntrySize;
    const faults = l2Faults(geometry, table, index, l1Index * geometry.bytesPerL2 + index * geometry.clusterSize);
    const mapping = getL2Entry(geometry, table, index);
    const host = mapping.kind === 'unallocated' ? null : mapping.host;
    if (faults !== 0) this.#report(faults, host ?? 0, place);
    if (mapping.kind === 'compressed') this.#compressed(mapping, faults, active, place);
    else if (mapping.kind !== 'unallocated' && host !== null) this.#cluster(host, mapping.owned, active, place);
  }

  #report(faults: number, offset: number, place: () => Place): void {
    for (const bit of faultsIn(faults)) {
      const reported = REPORTED.get(bit);
      if (reported === undefined) continue;
      const { kind, fault, impact } = reported;
      this.#context.findings.add(kind, fault, impact, place(), () => `It ${describeAnyFault(bit, offset)}.`);
    }
  }

  #cluster(host: number, owned: boolean, active: boolean, place: () => Place): void {
    const { clusterSize, externalData } = this.#context.geometry;
    const cluster = host / clusterSize;
    if (active) {
      if (this.#reachable) this.#checkDataCopied(host, owned, place);
      this.allocation.allocated++;
      if (this.#next !== 0 && cluster !== this.#next) this.allocation.fragmented++;
      this.#next = cluster + 1;
    }
    if (!externalData) this.#context.refer(host, clusterSize, 'data', place);
  }

  #compressed(
    { host, length }: Mapping & { kind: 'compressed' },
    faults: number,
    active: boolean,
    place: () => Place,
  ): void {
    if ((faults & UNCOUNTED) !== 0) return;
    this.#context.refer(host, length, 'compressed', place);
    if (!active) return;
    this.allocation.allocated++;
    this.allocation.compressed++;
    this.allocation.fragmented++;
  }

  /** A cluster of an external data file has no refcount, and is never shared. */
  #checkDataCopied(offset: number, copied: boolean, place: () => Place): void {
    if (!this.#context.geometry.externalData) this.#checkCopied(offset, copied, place);
    else if (!copied) this.#copied(1, copied, place);
  }

  #checkCopied(offset: number, copied: boolean, place: () => Place): void {
    const cluster = Math.floor(offset / this.#context.geometry.clusterSize);
    if (offset >= this.#context.fileSize) {
      this.#late.push({ cluster, copied, place: place() });
      return;
    }
    const refcount = this.#refcounts.get(cluster);
    if (refcount !== null && (refcount === 1) !== copied) this.#copied(refcount, copied, place);
  }

  async #checkLate(): Promise<void> {
    for (const { cluster, copied, place } of this.#late) {
      const refcount = await this.#refcounts.getPastEnd(cluster);
      if (refcount !== null && (refcount === 1) !== copied) this.#copied(refcount, copied, () => place);
    }
    this.#late = [];
  }

  /** Reports the COPIED flags of `count` entries that follow each other. */
  #copied(refcount: number, copied: boolean, placeOf: (index: number) => Place, count = 1): void {
    const fault = copied ? 'copied-set' : 'copied-missing';
    const message = () => `COPIED is ${copied ? 'set' : 'not set'} though the refcount is ${refcount}.`;
    this.#context.findings.addRun('corruption', fault, 'bookkeeping', placeOf, message, count);
  }
}
