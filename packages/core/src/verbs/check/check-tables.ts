/** Walks over L1 and L2 tables for a check: counts every reference, and checks every entry. */

import type { Fault, Finding, Impact } from '../../api/check-report.js';
import type { Transfer } from '../../api/device.js';
import { LARGE_COUNT, PAGE_MASK } from '../../engine/allocation/cluster-counts.js';
import { hex, viewOf } from '../../format/bytes.js';
import { getL1Entry, getL2Entry, isEmptyEntry, l2TableOffset, type Mapping, PLAIN_HIGH } from '../../format/entries.js';
import { describeFault, type EntryFault, faultNames, l1Faults, l2Faults } from '../../format/entry-faults.js';
import type { CheckContext } from './check-context.js';
import type { RefcountsOnDisk } from './check-refcounts.js';
import { type L1Table, l1EntryPlace, l2EntryPlace } from './l1-table.js';
import type { Place } from './place.js';

/** Bytes of L2 tables that are loaded in one batch. */
const BATCH_BYTES = 4 * 1024 * 1024;

/**
 * How a check reports the faults of entries. What makes an entry lead past the end of the file is reported as that, as
 * QEMU does.
 */
const REPORTED: Readonly<Record<EntryFault, Reported | null>> = {
  'reserved-bits': { kind: 'corruption', fault: 'reserved-bits', impact: 'data-doubtful' },
  unaligned: { kind: 'corruption', fault: 'unaligned', impact: 'data-doubtful' },
  'copied-compressed': { kind: 'corruption', fault: 'copied-compressed', impact: 'bookkeeping' },
  'compressed-bitmap': { kind: 'corruption', fault: 'subclusters', impact: 'data-doubtful' },
  'compressed-data-file': { kind: 'corruption', fault: 'external-data', impact: 'data-doubtful' },
  'compressed-offset': null,
  'zero-flag': { kind: 'extra', fault: 'zero-flag', impact: 'data-doubtful' },
  'subclusters-both': { kind: 'corruption', fault: 'subclusters', impact: 'data-doubtful' },
  'subclusters-nowhere': { kind: 'corruption', fault: 'subclusters', impact: 'data-doubtful' },
  'data-file-offset': { kind: 'extra', fault: 'data-file-offset', impact: 'data-doubtful' },
};

/** How one fault is reported. */
interface Reported {
  readonly kind: Finding['kind'];
  readonly fault: Fault;
  readonly impact: Impact;
}

/** The faults with which a compressed cluster is not counted, as in QEMU. */
const UNCOUNTED: readonly EntryFault[] = ['compressed-bitmap', 'compressed-data-file'];

/** No page of counts. */
const NO_COUNTS: Uint16Array = new Uint16Array(0);

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
  readonly #turn: () => Promise<void>;
  #late: LateEntry[] = [];
  /** The cluster that would follow the last entry's without a gap; 0 before the first. */
  #next = 0;
  /**
   * False for the table at offset 0: an L1 entry with flags and no offset refers to no table, but QEMU counts the
   * entries that the header would be.
   */
  #reachable = true;
  #buffer = new Uint8Array(0);

  constructor(context: CheckContext, refcounts: RefcountsOnDisk, turn: () => Promise<void>) {
    this.#context = context;
    this.#refcounts = refcounts;
    this.#turn = turn;
  }

  /** Walks one L1 table and everything below it; `progress` takes how many of its entries are done. */
  async walk(table: L1Table, progress: (entries: number) => void): Promise<void> {
    const context = this.#context;
    if (table.entries === 0) return;
    context.refer(table.at, table.entries * 8, 'metadata', () => ({ what: `L1 table${table.of}`, at: table.at }));
    const l1 = viewOf(await context.read(table.at, table.entries * 8));
    const most = Math.max(1, BATCH_BYTES / context.geometry.clusterSize);
    let batch: { index: number; offset: number }[] = [];
    const seen = new Set<number>();
    for (let index = 0; index * 8 + 8 <= l1.byteLength; index++) {
      const offset = this.#l1Entry(table, l1, index);
      if (offset !== null) this.#tellApart(table, index, offset, seen);
      if (this.#late.length > 0) await this.#checkLate();
      if (offset !== null) batch.push({ index, offset });
      if (batch.length < most) continue;
      await this.#readTables(table, batch);
      progress(index);
      await this.#turn();
      batch = [];
    }
    if (batch.length > 0) await this.#readTables(table, batch);
    progress(table.entries);
  }

  /** No writer makes an L1 table that refers to an L2 table twice. QEMU accepts it when the refcount allows it. */
  #tellApart(table: L1Table, index: number, offset: number, seen: Set<number>): void {
    if (seen.has(offset)) {
      const { findings, geometry } = this.#context;
      const cluster = Math.floor(offset / geometry.clusterSize);
      const message = () => `It leads to ${hex(offset)}, as another entry does.`;
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

  async #readTables(l1: L1Table, batch: readonly { index: number; offset: number }[]): Promise<void> {
    const { source, geometry, signal } = this.#context;
    const { clusterSize } = geometry;
    signal?.throwIfAborted();
    if (this.#buffer.length < batch.length * clusterSize) this.#buffer = new Uint8Array(batch.length * clusterSize);
    const transfers = batch.map(({ offset }, number): Transfer => {
      return { at: offset, bytes: this.#buffer.subarray(number * clusterSize, (number + 1) * clusterSize) };
    });
    const done = source.read(transfers, signal);
    if (done !== undefined) await done;
    for (let number = 0; number < batch.length; number++) {
      this.#l2Table(l1, batch[number]!.index, batch[number]!.offset, viewOf(transfers[number]!.bytes));
      if (this.#late.length > 0) await this.#checkLate();
    }
  }

  #l2Table(l1: L1Table, index: number, tableAt: number, table: DataView): void {
    const { geometry } = this.#context;
    const { extendedL2, externalData, l2EntrySize } = geometry;
    let at = 0;
    // Made once for each table, not for each entry: it is called only for a finding.
    const place = () => {
      const { maps, ...named } = l2EntryPlace(geometry, l1, index, tableAt, at / l2EntrySize);
      return this.#reachable && maps !== undefined ? { ...named, maps } : named;
    };
    this.#next = 0;
    this.#reachable = tableAt !== 0;
    const plain = !extendedL2 && !externalData && this.#refcounts.readable;
    for (; at < table.byteLength; at += l2EntrySize) {
      if (plain) at = this.#plainEntries(table, at, l1.active);
      if (at === table.byteLength) return;
      this.#entry(table, at, l1.active, index, place);
    }
  }

  /**
   * Counts entries that are unallocated, or valid data clusters: nearly all, so without a call for each. Returns the
   * place of the first other entry, or the table's end.
   */
  #plainEntries(table: DataView, from: number, active: boolean): number {
    const { geometry, references, clusters, most } = this.#context;
    const { clusterBits, clusterSize } = geometry;
    const { counts } = this.#refcounts;
    const full = Math.min(most, LARGE_COUNT - 1);
    const checkCopied = active && this.#reachable;
    // In locals: imports and fields would be looked up for every entry.
    const { flags, copied, offset } = PLAIN_HIGH;
    const mask = PAGE_MASK;
    const inCluster = clusterSize - 1;
    const clustersPerWord = 2 ** (32 - clusterBits);
    let { allocated, fragmented } = this.allocation;
    let next = this.#next;
    let page = -1;
    let referencePage = NO_COUNTS;
    let refcountPage = NO_COUNTS;
    let at = from;
    for (const end = table.byteLength; at < end; at += 8) {
      const high = table.getUint32(at);
      const low = table.getUint32(at + 4);
      if (high === 0 && low === 0) continue;
      if ((high & flags) !== 0 || (low & inCluster) !== 0) break;
      const cluster = (high & offset) * clustersPerWord + (low >>> clusterBits);
      if (cluster === 0 || cluster >= clusters) break;
      if (cluster - (cluster & mask) !== page) {
        page = cluster - (cluster & mask);
        referencePage = references.page(cluster);
        refcountPage = counts.page(cluster);
      }
      const count = referencePage[cluster & mask]!;
      const owned = (high & copied) !== 0;
      if (count >= full || (checkCopied && (refcountPage[cluster & mask] === 1) !== owned)) break;
      referencePage[cluster & mask] = count + 1;
      if (!active) continue;
      allocated++;
      if (next !== 0 && next !== cluster) fragmented++;
      next = cluster + 1;
    }
    this.allocation.allocated = allocated;
    this.allocation.fragmented = fragmented;
    this.#next = next;
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
    for (const name of faultNames(faults)) {
      const reported = REPORTED[name];
      if (reported === null) continue;
      const { kind, fault, impact } = reported;
      this.#context.findings.add(kind, fault, impact, place(), () => `It ${describeFault(name, offset)}.`);
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
    if (faultNames(faults).some((name) => UNCOUNTED.includes(name))) return;
    this.#context.refer(host, length, 'compressed', place);
    if (!active) return;
    this.allocation.allocated++;
    this.allocation.compressed++;
    this.allocation.fragmented++;
  }

  /** A cluster of an external data file has no refcount, and is never shared. */
  #checkDataCopied(offset: number, copied: boolean, place: () => Place): void {
    if (!this.#context.geometry.externalData) this.#checkCopied(offset, copied, place);
    else if (!copied) this.#copied(1, copied, place());
  }

  #checkCopied(offset: number, copied: boolean, place: () => Place): void {
    const cluster = Math.floor(offset / this.#context.geometry.clusterSize);
    if (offset >= this.#context.fileSize) {
      this.#late.push({ cluster, copied, place: place() });
      return;
    }
    const refcount = this.#refcounts.get(cluster);
    if (refcount !== null && (refcount === 1) !== copied) this.#copied(refcount, copied, place());
  }

  async #checkLate(): Promise<void> {
    for (const { cluster, copied, place } of this.#late) {
      const refcount = await this.#refcounts.getPastEnd(cluster);
      if (refcount !== null && (refcount === 1) !== copied) this.#copied(refcount, copied, place);
    }
    this.#late = [];
  }

  #copied(refcount: number, copied: boolean, place: Place): void {
    const fault = copied ? 'copied-set' : 'copied-missing';
    this.#context.findings.add('corruption', fault, 'bookkeeping', place, () => {
      return `COPIED is ${copied ? 'set' : 'not set'} though the refcount is ${refcount}.`;
    });
  }
}
