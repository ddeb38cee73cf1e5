/**
 * Separates clusters that have two uses: a write to one place of the guest must not change another. Snapshots share
 * clusters with the disk at the same guest offset; that is no second use.
 */

import type { Transfer } from '../../api/device.js';
import { ClusterCounts } from '../../engine/allocation/cluster-counts.js';
import { DirtyRanges } from '../../engine/allocation/dirty-ranges.js';
import { addDirty } from '../../engine/write/dirty-tables.js';
import { isOwned, setL1Entry, setL2Entry, setOwned } from '../../format/encode-entries.js';
import {
  getL1Entry,
  getL2Entry,
  isCompressed,
  l2TableOffset,
  type Mapping,
  standardOffset,
} from '../../format/entries.js';
import { CRYPT_METHOD } from '../../format/header.js';
import { bytesOf } from '../../format/view-bytes.js';
import type { Checked } from '../check/check.js';
import { writeChanged } from './changed-table.js';
import { ClusterOwners } from './cluster-owners.js';
import { type LoadedTable, type RepairedDisk, readL1, tablesOf } from './disks.js';
import type { NewReferences } from './pending-change.js';
import { hasOverflow, type RepairContext, readOfRemoved } from './repair-context.js';
import { removedMapping } from './repair-tables.js';

/** The owner of clusters with compressed streams: they are never overwritten, so they may be shared. */
const COMPRESSED_OWNER = Number.MAX_SAFE_INTEGER;
/** The most entries that are redirected: a bound on memory. Clusters beyond it stay shared. */
const MAX_REDIRECTS = 262_144;

/** What the separation needs on the medium after the refcounts were raised. */
export interface Separation {
  /** The entries that lead to copies. */
  readonly redirects: readonly Transfer[];
  /** The references to the copies. */
  readonly added: NewReferences;
}

/** The separation of an image in which no cluster has two uses. */
export const NO_SEPARATION: Separation = { redirects: [], added: new Map() };

/**
 * Copies clusters with two uses to the end of the file, and clears COPIED where there is more than one reference. The
 * entries that lead to the copies are returned, and must be written only when the copies are counted.
 *
 * @throws what the medium throws; the signal's reason.
 */
export async function separateClusters(
  context: RepairContext,
  disks: readonly RepairedDisk[],
  checked: Checked,
): Promise<Separation> {
  const work = new SeparationWork(context, checked);
  await work.countTables(disks);
  await work.claimCompressed(disks);
  for (const disk of disks) await work.planClones(disk);
  for (const disk of disks) await work.separate(disk);
  await context.medium.flush();
  return work;
}

/** A separation in progress. */
class SeparationWork implements Separation {
  readonly redirects: Transfer[] = [];
  readonly added = new Map<number, number>();
  readonly #context: RepairContext;
  readonly #checked: Checked;
  readonly #hasOverflow: boolean;
  readonly #owners = new ClusterOwners();
  readonly #tableOwners = new ClusterOwners();
  /** How many L1 entries lead to each table. */
  readonly #tableReferences: ClusterCounts;
  /** References that a cluster keeps, where there are more than a refcount can count. */
  readonly #kept: ClusterCounts;
  /** Copies of data, by cluster and owner. */
  readonly #copies = new Map<string, number>();
  /** How many L1 entries will lead to each copy of a table, by its offset. */
  readonly #cloneReferences = new Map<number, number>();
  readonly #visited = new Set<number>();
  /** The places of copies of tables, by L1 index. */
  readonly #clones = new Map<RepairedDisk, ReadonlyMap<number, number>>();

  constructor(context: RepairContext, checked: Checked) {
    this.#context = context;
    this.#checked = checked;
    this.#hasOverflow = hasOverflow(checked);
    this.#tableReferences = new ClusterCounts(checked.context.clusters + 1);
    this.#kept = new ClusterCounts(checked.context.clusters + 1);
  }

  /** Counts the L1 entries that lead to each table. */
  async countTables(disks: readonly RepairedDisk[]): Promise<void> {
    const { clusterSize } = this.#context.geometry;
    for (const disk of disks) {
      const l1 = await readL1(this.#context, disk);
      for (let index = 0; index < l1.byteLength / 8; index++) {
        const at = l2TableOffset(l1, index);
        if (at !== 0) this.#tableReferences.add(at / clusterSize, Infinity);
      }
    }
  }

  /** Claims the clusters with compressed streams that have a second use, before data clusters are looked at. */
  async claimCompressed(disks: readonly RepairedDisk[]): Promise<void> {
    const { geometry } = this.#context;
    const visited = new Set<number>();
    for (const disk of disks) {
      const l1 = await readL1(this.#context, disk);
      const isNew = (at: number) => !visited.has(at) && visited.add(at) !== undefined;
      for await (const tables of tablesOf(this.#context, l1, isNew)) {
        for (const { view } of tables) {
          for (let index = 0; index < geometry.l2Entries; index++) {
            if (!isCompressed(geometry, view, index)) continue;
            const { host, length } = getL2Entry(geometry, view, index) as Mapping & { kind: 'compressed' };
            this.#eachCluster(host, length, (cluster) => {
              if (this.#isCandidate(cluster)) this.#owners.claim(cluster, COMPRESSED_OWNER);
            });
          }
        }
      }
    }
  }

  /**
   * Decides which L1 entries get a copy of their table, and clears COPIED of entries of shared tables. Copies take
   * references from their originals, so this comes before any table is looked at.
   */
  async planClones(disk: RepairedDisk): Promise<void> {
    const { medium, geometry } = this.#context;
    const l1 = await readL1(this.#context, disk);
    const dirty = new DirtyRanges();
    const clones = new Map<number, number>();
    const seen = new Set<number>();
    for (let index = 0; index < l1.byteLength / 8; index++) {
      const { offset, owned } = getL1Entry(l1, index);
      if (offset === null) continue;
      const cluster = offset / geometry.clusterSize;
      if (this.#needsOwnTable(offset, index, seen)) {
        const clone = this.#copyOf(offset, index);
        if (clone !== null) {
          clones.set(index, clone);
          this.#tableReferences.set(cluster, this.#tableReferences.get(cluster) - 1);
        }
      }
      seen.add(offset);
      if (!owned || this.#checked.context.references.get(cluster) === 1) continue;
      setL1Entry(l1, index, { offset, owned: false });
      dirty.add(index * 8, index * 8 + 8);
    }
    await writeChanged(medium, l1, disk.l1At, dirty);
    this.#clones.set(disk, clones);
  }

  /** Looks at all tables of a disk that were not looked at as another disk's. */
  async separate(disk: RepairedDisk): Promise<void> {
    const l1 = await readL1(this.#context, disk);
    const clones = this.#clones.get(disk)!;
    const isWanted = (at: number, index: number): boolean => {
      const table = clones.get(index) ?? at;
      if (this.#visited.has(table)) return false;
      this.#visited.add(table);
      return true;
    };
    for await (const tables of tablesOf(this.#context, l1, isWanted)) {
      const changes: Transfer[] = [];
      for (const table of tables) await this.#table(disk, table, clones.get(table.l1Index), changes);
      await this.#context.medium.write(changes);
    }
    for (const [index, at] of clones) this.#redirectTable(disk, index, at);
  }

  #redirectTable(disk: RepairedDisk, index: number, at: number): void {
    const bytes = new Uint8Array(8);
    setL1Entry(new DataView(bytes.buffer), 0, { offset: at, owned: false });
    this.redirects.push({ at: disk.l1At + index * 8, bytes });
    const cluster = at / this.#context.geometry.clusterSize;
    this.added.set(cluster, (this.added.get(cluster) ?? 0) + 1);
  }

  /** Whether a table is used at another place of the guest, so that this entry needs a copy. */
  #needsOwnTable(offset: number, index: number, seen: ReadonlySet<number>): boolean {
    const cluster = offset / this.#context.geometry.clusterSize;
    const owner = this.#tableOwners.claim(cluster, index);
    if (owner !== index) return seen.has(offset) || this.#isCandidate(cluster);
    return !this.#keep(cluster, 1);
  }

  /** The entries of one table; with `clone`, of a copy of it that is written there. */
  async #table(
    disk: RepairedDisk,
    { at, l1Index, view }: LoadedTable,
    clone: number | undefined,
    changes: Transfer[],
  ): Promise<void> {
    const { geometry, medium } = this.#context;
    const { clusterSize, l2Entries, l2EntrySize } = geometry;
    const references =
      clone === undefined ? this.#tableReferences.get(at / clusterSize) : this.#cloneReferences.get(clone)!;
    const dirty = new DirtyRanges();
    for (let index = 0; index < l2Entries; index++) {
      const guest = l1Index * l2Entries + index;
      const redirected = await this.#redirected(disk, view, index, guest, references);
      if (clone !== undefined) {
        if (redirected !== null) setL2Entry(geometry, view, index, redirected);
        else if (!geometry.externalData && !isCompressed(geometry, view, index)) setOwned(geometry, view, index, false);
        continue;
      }
      if (this.#mustNotBeCopied(view, index)) {
        setOwned(geometry, view, index, false);
        dirty.add(index * l2EntrySize, (index + 1) * l2EntrySize);
      }
      if (redirected === null) continue;
      if (redirected.kind === 'zero' || redirected.kind === 'unallocated') {
        // It leads nowhere, so it need not wait for counts.
        setL2Entry(geometry, view, index, redirected);
        dirty.add(index * l2EntrySize, (index + 1) * l2EntrySize);
        continue;
      }
      const bytes = new Uint8Array(l2EntrySize);
      setL2Entry(geometry, new DataView(bytes.buffer), 0, redirected);
      this.redirects.push({ at: at + index * l2EntrySize, bytes });
    }
    if (clone === undefined) addDirty(changes, view, at, dirty);
    else await medium.write([{ at: clone, bytes: bytesOf(view) }]);
  }

  /** Whether COPIED is set for a cluster with more than one reference. */
  #mustNotBeCopied(view: DataView, index: number): boolean {
    const { geometry } = this.#context;
    if (geometry.externalData || !isOwned(geometry, view, index)) return false;
    const host = standardOffset(geometry, view, index);
    return host !== null && this.#checked.context.references.get(host / geometry.clusterSize) > 1;
  }

  /** What an entry becomes when its cluster has another use; null when it stays. */
  async #redirected(
    disk: RepairedDisk,
    view: DataView,
    index: number,
    guest: number,
    references: number,
  ): Promise<Mapping | null> {
    const { geometry } = this.#context;
    if (geometry.externalData) return null;
    if (isCompressed(geometry, view, index)) return this.#redirectedStream(disk, view, index, guest, references);
    const host = standardOffset(geometry, view, index);
    if (host === null) return null;
    const cluster = host / geometry.clusterSize;
    if (!this.#isCandidate(cluster)) return null;
    const owner = this.#owners.claim(cluster, guest);
    const isKept = owner === guest && this.#keep(cluster, references);
    if (isKept) return null;
    const mapping = getL2Entry(geometry, view, index) as Mapping & { kind: 'zero' | 'data' | 'subclusters' };
    if (mapping.kind === 'zero') return { kind: 'zero', host: null, owned: false };
    const known = this.#copies.get(`${cluster}:${guest}`);
    const to = this.redirects.length < MAX_REDIRECTS ? await this.#copyOfData(cluster, guest, references) : null;
    if (to === null) return this.#withoutCopy(disk, cluster, guest, references);
    if (to !== known) this.#logCopy(disk, guest, host, to);
    return { ...mapping, host: to, owned: false };
  }

  /** A compressed stream stays where it is, unless refcounts cannot count all that share its clusters. */
  async #redirectedStream(
    disk: RepairedDisk,
    view: DataView,
    index: number,
    guest: number,
    references: number,
  ): Promise<Mapping | null> {
    const { geometry, medium, end } = this.#context;
    const mapping = getL2Entry(geometry, view, index) as Mapping & { kind: 'compressed' };
    let isKept = true;
    this.#eachCluster(mapping.host, mapping.length, (cluster) => {
      if (this.#isCandidate(cluster) && !this.#keep(cluster, references)) isKept = false;
    });
    if (isKept) return null;
    const canCount = references <= this.#checked.context.maxRefcount;
    const to = this.#mayCopy && canCount ? end.takeForCopy(mapping.length) : null;
    if (to === null) return this.#lose(disk, guest);
    await medium.copy(mapping.host, to, mapping.length);
    this.#eachCluster(to, mapping.length, (cluster) => this.added.set(cluster, references));
    this.#logCopy(disk, guest, mapping.host, to);
    return { ...mapping, host: to };
  }

  /** Without a copy, a cluster stays shared if it can be counted: the first write to it copies it then. */
  #withoutCopy(disk: RepairedDisk, cluster: number, guest: number, references: number): Mapping | null {
    return this.#keep(cluster, references) ? null : this.#lose(disk, guest);
  }

  #lose(disk: RepairedDisk, guest: number): Mapping {
    const { log, geometry } = this.#context;
    const { clusterSize: length } = geometry;
    const reason = 'shares its cluster with more than a refcount can count, and there is no room for a copy';
    const readsBacking = readOfRemoved(this.#context) === 'backing file';
    log.lose(disk, { start: guest * length, length, reason, readsBacking });
    log.count('entries-removed');
    return removedMapping(this.#context);
  }

  /**
   * A copy of a data cluster for one guest cluster; the disk and its snapshots share it, as long as its refcount can
   * count them.
   */
  async #copyOfData(cluster: number, guest: number, references: number): Promise<number | null> {
    const { medium, geometry, end } = this.#context;
    const { clusterSize } = geometry;
    const key = `${cluster}:${guest}`;
    const { maxRefcount } = this.#checked.context;
    if (references > maxRefcount) return null;
    let to = this.#copies.get(key);
    if (to === undefined || this.added.get(to / clusterSize)! + references > maxRefcount) {
      const place = this.#mayCopy ? end.takeForCopy(clusterSize) : null;
      if (place === null) return null;
      to = place;
      await medium.copy(cluster * clusterSize, to, clusterSize);
      this.#copies.set(key, to);
    }
    const copy = to / clusterSize;
    this.added.set(copy, (this.added.get(copy) ?? 0) + references);
    return to;
  }

  /** The place of a copy of an L2 table for one L1 index; null when there is no room for it. */
  #copyOf(offset: number, index: number): number | null {
    const key = `table ${offset}:${index}`;
    const known = this.#copies.get(key);
    const sharing = known === undefined ? 0 : this.#cloneReferences.get(known)!;
    const canShare = known !== undefined && sharing < this.#checked.context.maxRefcount;
    const to = canShare ? known : this.#context.end.takeForCopy(this.#context.geometry.clusterSize);
    if (to === null) return null;
    this.#copies.set(key, to);
    this.#cloneReferences.set(to, (this.#cloneReferences.get(to) ?? 0) + 1);
    return to;
  }

  #logCopy(disk: RepairedDisk, guest: number, from: number, to: number): void {
    const { log, geometry } = this.#context;
    const start = guest * geometry.clusterSize;
    log.copy({ start, length: geometry.clusterSize, snapshot: disk.snapshot, from, to });
  }

  /** True if a cluster has more references than its refcount: then they may be of different uses. */
  #isCandidate(cluster: number): boolean {
    if (this.#isFull(cluster)) return true;
    const { context, refcounts } = this.#checked;
    const references = context.references.get(cluster);
    return references > 1 && (refcounts?.get(cluster) ?? 0) < references;
  }

  /** Whether there may be more references than the refcount's width can count. */
  #isFull(cluster: number): boolean {
    return this.#hasOverflow && this.#checked.context.references.get(cluster) === this.#checked.context.maxRefcount;
  }

  /** Counts references that a cluster keeps; false when the refcount's width cannot count them. */
  #keep(cluster: number, references: number): boolean {
    if (!this.#isFull(cluster)) return true;
    const { maxRefcount } = this.#checked.context;
    if (this.#kept.get(cluster) + references > maxRefcount) return false;
    this.#kept.set(cluster, this.#kept.get(cluster) + references);
    return true;
  }

  /** An encrypted cluster of LUKS depends on its host offset. */
  get #mayCopy(): boolean {
    return this.#context.header.cryptMethod !== CRYPT_METHOD.luks;
  }

  #eachCluster(at: number, length: number, visit: (cluster: number) => void): void {
    const { clusterSize } = this.#context.geometry;
    const last = Math.floor((at + length - 1) / clusterSize);
    for (let cluster = Math.floor(at / clusterSize); cluster <= last; cluster++) visit(cluster);
  }
}
