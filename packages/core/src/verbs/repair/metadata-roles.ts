/** Decides which clusters contain metadata. An entry for guest data that leads there is invalid. */
import { ClusterCounts } from '../../engine/allocation/cluster-counts.js';
import { viewOf } from '../../format/bytes.js';
import { CRYPTO_POINTER_BYTES, cryptoHeaderPlace } from '../../format/crypto-header.js';
import { l2TableOffset } from '../../format/entries.js';
import { UNALIGNED } from '../../format/entry-faults.js';
import { EXTENSION, findExtension } from '../../format/extensions.js';
import { getRefcountTableEntry, refcountTableFaults } from '../../format/refcount-table.js';
import { refcountsPerBlock } from '../../format/refcounts.js';
import { l1Faults } from '../../format/table-faults.js';
import type { Checked } from '../check/check.js';
import { type RepairedDisk, readL1 } from './disks.js';
import { isFilledTable } from './plausible-tables.js';
import type { RepairContext } from './repair-context.js';

const L2_TABLE = 1;
const OTHER = 2;

/** The roles of the clusters of a file. */
export class MetadataRoles {
  readonly #clusterSize: number;
  readonly #fileSize: number;
  readonly #roles: ClusterCounts;

  constructor(clusterSize: number, fileSize: number) {
    this.#clusterSize = clusterSize;
    this.#fileSize = fileSize;
    this.#roles = new ClusterCounts(Math.ceil(fileSize / clusterSize));
  }

  /** Enters bytes of metadata other than L2 tables. */
  add(at: number, length: number): void {
    this.#each(at, length, (cluster) => this.#roles.set(cluster, OTHER));
  }

  /** True if host bytes touch metadata. */
  touches(at: number, length: number): boolean {
    return this.#some(at, length, (role) => role !== 0);
  }

  /** True if host bytes touch an L2 table. */
  touchesTable(at: number, length: number): boolean {
    return this.#some(at, length, (role) => role === L2_TABLE);
  }

  /** Enters the L2 table of a valid L1 entry, unless other metadata are there. */
  addTable(at: number): void {
    if (at >= this.#fileSize || this.#roles.get(at / this.#clusterSize) === OTHER) return;
    this.#roles.set(at / this.#clusterSize, L2_TABLE);
  }

  /** True if {@link addTable} has entered a table there. */
  isTable(at: number): boolean {
    return at < this.#fileSize && this.#roles.get(at / this.#clusterSize) === L2_TABLE;
  }

  #some(at: number, length: number, isWanted: (role: number) => boolean): boolean {
    let found = false;
    this.#each(at, length, (cluster) => {
      if (isWanted(this.#roles.get(cluster))) found = true;
    });
    return found;
  }

  #each(at: number, length: number, visit: (cluster: number) => void): void {
    const end = Math.min(at + length, this.#fileSize);
    for (let cluster = Math.floor(at / this.#clusterSize); cluster * this.#clusterSize < end; cluster++) visit(cluster);
  }
}

/** Enters all metadata; bitmaps are left out, since guest data have precedence over them. */
export async function metadataRoles(
  context: RepairContext,
  disks: readonly RepairedDisk[],
  snapshotTableBytes: number,
  checked: Checked,
): Promise<MetadataRoles> {
  const { header, geometry, fileSize, extensions } = context;
  const roles = new MetadataRoles(geometry.clusterSize, fileSize);
  roles.add(0, geometry.clusterSize);
  for (const { l1At, l1Entries } of disks) roles.add(l1At, l1Entries * 8);
  roles.add(header.snapshotsOffset, snapshotTableBytes);
  const luks = findExtension(extensions, EXTENSION.cryptoHeader);
  if (luks?.data.length === CRYPTO_POINTER_BYTES) {
    const { at, length } = cryptoHeaderPlace(luks);
    roles.add(at, length);
  }
  await addRefcounts(context, roles, checked);
  const [active, ...snapshots] = disks;
  for (const at of (await tablesNamedBy(context, [active!])).keys()) roles.addTable(at);
  // What only snapshots call a table, and others a cluster of data, is one if it can be one: the disk has precedence.
  const { references } = checked.context;
  for (const [at, entries] of await tablesNamedBy(context, snapshots)) {
    const isDoubtful = !roles.isTable(at) && references.get(at / geometry.clusterSize) > entries;
    if (!isDoubtful || (await isFilledTable(context.medium, geometry, at))) roles.addTable(at);
  }
  return roles;
}

/** The host offsets of the L2 tables to which several L1 entries of some disks lead. */
export async function tablesNamedTwice(
  context: RepairContext,
  disks: readonly RepairedDisk[],
): Promise<ReadonlySet<number>> {
  const named = await tablesNamedBy(context, disks);
  return new Set([...named].filter(([, entries]) => entries > 1).map(([at]) => at));
}

/** The L2 tables that the L1 tables of some disks lead to, by host offset, and how many entries do. */
async function tablesNamedBy(context: RepairContext, disks: readonly RepairedDisk[]): Promise<Map<number, number>> {
  const { geometry } = context;
  const named = new Map<number, number>();
  for (const disk of disks) {
    const l1 = await readL1(context, disk);
    for (let index = 0; index < l1.byteLength / 8; index++) {
      const at = l2TableOffset(l1, index);
      if (at === 0 || (l1Faults(geometry, l1, index) & UNALIGNED) !== 0) continue;
      named.set(at, (named.get(at) ?? 0) + 1);
    }
  }
  return named;
}

/**
 * Enters the refcount table and its blocks, as far as they can be trusted: a block agrees with what it counts. An entry
 * of a damaged refcount table may lead to a table of the guest, which must not be lost for that.
 */
async function addRefcounts(
  { header, geometry, fileSize, signal }: RepairContext,
  roles: MetadataRoles,
  { context, refcounts }: Checked,
): Promise<void> {
  if (refcounts === null) return;
  const { refcountTableOffset: at, refcountTableClusters, refcountOrder } = header;
  const table = viewOf(await context.read(at, refcountTableClusters * geometry.clusterSize));
  const perBlock = refcountsPerBlock(geometry.clusterSize, refcountOrder);
  let trustedEnd = 0;
  for (let index = 0; index * 8 + 8 <= table.byteLength; index++) {
    const { offset } = getRefcountTableEntry(table, index);
    const isValid = refcountTableFaults(geometry.clusterSize, table, index) === 0;
    if (offset === 0 || !isValid || offset >= fileSize) continue;
    if (!agrees(index * perBlock, Math.min((index + 1) * perBlock, context.clusters), { context, refcounts })) continue;
    roles.add(offset, geometry.clusterSize);
    trustedEnd = index * 8 + 8;
  }
  signal?.throwIfAborted();
  // What the header says of its length may be wrong.
  roles.add(at, trustedEnd);
}

/** True if at least half of the refcounts that are not 0 equal the references. */
function agrees(
  first: number,
  end: number,
  { context, refcounts }: { context: Checked['context']; refcounts: NonNullable<Checked['refcounts']> },
): boolean {
  let equal = 0;
  let different = 0;
  for (let cluster = first; cluster < end; cluster++) {
    const refcount = refcounts.get(cluster);
    if (refcount === 0 || refcount === null) continue;
    if (refcount === context.references.get(cluster)) equal++;
    else different++;
  }
  return equal > 0 && equal >= different;
}
