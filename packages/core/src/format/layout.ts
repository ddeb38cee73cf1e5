/**
 * Computes the layout of a new image before anything is written: no allocator, no I/O.
 *
 *   header | refcount table | refcount blocks | L1 table | L2 tables | data clusters
 *
 * The last two exist only when metadata is preallocated; the data only without an external data file.
 */
import { viewOf } from './bytes.js';
import { setL1Entry, setL2Entry } from './encode-entries.js';
import { encodeExtensions, encodeFeatureNames } from './encode-extensions.js';
import { encodeHeader } from './encode-header.js';
import { EXTENSION, KNOWN_FEATURES } from './extensions.js';
import { type Geometry, geometryOf, l1EntriesFor } from './geometry.js';
import { AUTOCLEAR, COMPATIBLE, COMPRESSION_TYPE, CRYPT_METHOD, INCOMPATIBLE, V2_HEADER_LENGTH } from './header.js';
import { MAX_BACKING_FORMAT_BYTES, MAX_BACKING_NAME_BYTES, MAX_L1_BYTES, MAX_REFCOUNT_TABLE_BYTES } from './limits.js';
import { encodeName } from './names.js';
import { refcountsPerBlock, setRefcount } from './refcounts.js';

/** The properties of a new image, already validated. Sizes in bytes. */
export interface ImagePlan {
  readonly size: number;
  readonly version: 2 | 3;
  readonly clusterBits: number;
  readonly refcountOrder: number;
  readonly lazyRefcounts: boolean;
  readonly zstd: boolean;
  readonly extendedL2: boolean;
  readonly preallocated: boolean;
  readonly backingFile: string | undefined;
  readonly backingFormat: string | undefined;
  readonly dataFile: string | undefined;
  readonly dataFileRaw: boolean;
}

/** A run of clusters: the offset of the first, in bytes, and their number. */
export interface ClusterRun {
  readonly at: number;
  readonly clusters: number;
}

/** The offsets of all structures of a new image, in bytes. */
export interface ImageLayout {
  readonly plan: ImagePlan;
  readonly geometry: Geometry;
  readonly refcountTable: ClusterRun;
  readonly refcountBlocks: ClusterRun;
  readonly l1Table: ClusterRun;
  readonly l1Entries: number;
  readonly l2Tables: ClusterRun;
  readonly data: ClusterRun;
  /** Number of clusters in the file, all of them in use. */
  readonly clusters: number;
}

/** Length of the version 3 header that QEMU writes, bytes. */
const V3_WRITTEN_LENGTH = 112;

/**
 * Lays out an image.
 *
 * @throws RangeError when its L1 table or its refcount table would exceed QEMU's limits.
 */
export function layoutOf(plan: ImagePlan): ImageLayout {
  const externalData = plan.dataFile !== undefined;
  const geometry = geometryOf({ ...plan, externalData });
  const { clusterSize } = geometry;
  const l1Entries = l1EntriesFor(geometry, plan.size);
  if (l1Entries * 8 > MAX_L1_BYTES) {
    throw new RangeError(`A disk of ${plan.size} bytes is too large for clusters of ${clusterSize}; try larger ones.`);
  }
  const l1Clusters = Math.ceil((l1Entries * 8) / clusterSize);
  const l2Clusters = plan.preallocated ? l1Entries : 0;
  const dataClusters = plan.preallocated && !externalData ? Math.ceil(plan.size / clusterSize) : 0;
  const { table, blocks } = refcountClusters(plan, geometry, 1 + l1Clusters + l2Clusters + dataClusters);

  let next = 1;
  const take = (clusters: number): ClusterRun => {
    const at = next * clusterSize;
    next += clusters;
    return { at, clusters };
  };
  const refcountTable = take(table);
  const refcountBlocks = take(blocks);
  const l1Table = take(l1Clusters);
  const l2Tables = take(l2Clusters);
  const data = take(dataClusters);
  return { plan, geometry, refcountTable, refcountBlocks, l1Table, l1Entries, l2Tables, data, clusters: next };
}

/** Number of clusters that the refcount structures need to count `others` clusters and themselves. */
function refcountClusters(plan: ImagePlan, geometry: Geometry, others: number): { table: number; blocks: number } {
  const perBlock = refcountsPerBlock(geometry.clusterSize, plan.refcountOrder);
  let table = 1;
  let blocks = 1;
  // Each round counts what the previous round added. It ends because a block counts far more clusters than one.
  for (;;) {
    const needed = Math.ceil((others + table + blocks) / perBlock);
    const tableNeeded = Math.ceil((needed * 8) / geometry.clusterSize);
    if (needed <= blocks && tableNeeded <= table) break;
    blocks = Math.max(blocks, needed);
    table = Math.max(table, tableNeeded);
  }
  if (table * geometry.clusterSize > MAX_REFCOUNT_TABLE_BYTES) {
    throw new RangeError('The preallocated image would need a refcount table of more than 8 MiB; try larger clusters.');
  }
  return { table, blocks };
}

/**
 * Encodes the first cluster: header, extensions, and the backing file's name.
 *
 * @throws RangeError when a name is too long, or when the names do not fit in the cluster.
 */
export function headerCluster(layout: ImageLayout): Uint8Array<ArrayBuffer> {
  const { plan, geometry } = layout;
  const name = encodeName(plan.backingFile ?? '');
  const format = encodeName(plan.backingFormat ?? '');
  if (name.length > MAX_BACKING_NAME_BYTES) {
    throw new RangeError(
      `The backing file's name is ${name.length} bytes long; the maximum is ${MAX_BACKING_NAME_BYTES}.`,
    );
  }
  if (format.length > MAX_BACKING_FORMAT_BYTES) {
    throw new RangeError(`The backing format's name is ${format.length} bytes long; the maximum is 15.`);
  }
  const extensions: { type: number; data: Uint8Array }[] = [];
  if (format.length > 0) extensions.push({ type: EXTENSION.backingFormat, data: format });
  if (plan.dataFile !== undefined) extensions.push({ type: EXTENSION.dataFile, data: encodeName(plan.dataFile) });
  const headerLength = plan.version === 2 ? V2_HEADER_LENGTH : V3_WRITTEN_LENGTH;
  const names = { type: EXTENSION.featureNames, data: encodeFeatureNames(KNOWN_FEATURES) };
  const available = geometry.clusterSize - headerLength - name.length;
  // The feature name table is optional. It is left out where clusters are too small for it.
  const full = encodeExtensions([...extensions, names]);
  const area = plan.version === 3 && full.length <= available ? full : encodeExtensions(extensions);
  if (area.length > available)
    throw new RangeError('The names do not fit the first cluster; shorten them or use larger ones.');
  const cluster = new Uint8Array(geometry.clusterSize);
  cluster.set(
    encodeHeader(headerOf(layout, headerLength, name.length === 0 ? 0 : headerLength + area.length, name.length)),
  );
  cluster.set(area, headerLength);
  cluster.set(name, headerLength + area.length);
  return cluster;
}

function headerOf(layout: ImageLayout, headerLength: number, backingFileOffset: number, backingFileSize: number) {
  const { plan, l1Table, l1Entries, refcountTable } = layout;
  const incompatibleFeatures: number[] = [];
  if (plan.dataFile !== undefined) incompatibleFeatures.push(INCOMPATIBLE.dataFile);
  if (plan.zstd) incompatibleFeatures.push(INCOMPATIBLE.compressionType);
  if (plan.extendedL2) incompatibleFeatures.push(INCOMPATIBLE.extendedL2);
  return {
    version: plan.version,
    backingFileOffset,
    backingFileSize,
    clusterBits: plan.clusterBits,
    size: plan.size,
    cryptMethod: CRYPT_METHOD.none,
    l1Size: l1Entries,
    l1TableOffset: l1Entries === 0 ? 0 : l1Table.at,
    refcountTableOffset: refcountTable.at,
    refcountTableClusters: refcountTable.clusters,
    snapshotCount: 0,
    snapshotsOffset: 0,
    incompatibleFeatures,
    compatibleFeatures: plan.lazyRefcounts ? [COMPATIBLE.lazyRefcounts] : [],
    autoclearFeatures: plan.dataFileRaw ? [AUTOCLEAR.rawDataFile] : [],
    refcountOrder: plan.refcountOrder,
    headerLength,
    compressionType: plan.zstd ? COMPRESSION_TYPE.zstd : COMPRESSION_TYPE.zlib,
    unknownFields: new Uint8Array(plan.version === 2 ? 0 : V3_WRITTEN_LENGTH - 105),
  };
}

/** Encodes the refcount table: a pointer to each block. */
export function refcountTableBytes({ refcountTable, refcountBlocks, geometry }: ImageLayout): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(refcountTable.clusters * geometry.clusterSize);
  fillPointers(bytes, refcountBlocks, geometry, false);
  return bytes;
}

/** Encodes the L1 table: a pointer to each preallocated L2 table. */
export function l1TableBytes({ l1Table, l2Tables, geometry }: ImageLayout): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(l1Table.clusters * geometry.clusterSize);
  fillPointers(bytes, l2Tables, geometry, true);
  return bytes;
}

/** Fills a table with the offsets of consecutive clusters. `owned` sets COPIED, which refcount tables do not have. */
function fillPointers(
  bytes: Uint8Array,
  { at, clusters }: ClusterRun,
  { clusterSize }: Geometry,
  owned: boolean,
): void {
  const table = viewOf(bytes);
  for (let index = 0; index < clusters; index++) {
    setL1Entry(table, index, { offset: at + index * clusterSize, owned });
  }
}

/** Fills a refcount block of one cluster: 1 for each cluster of the file, 0 past its end. */
export function fillRefcountBlock(layout: ImageLayout, index: number, block: Uint8Array): void {
  const { plan, geometry, clusters } = layout;
  const perBlock = refcountsPerBlock(geometry.clusterSize, plan.refcountOrder);
  const used = Math.min(perBlock, clusters - index * perBlock);
  const view = viewOf(block);
  block.fill(0);
  for (let entry = 0; entry < used; entry++) setRefcount(view, plan.refcountOrder, entry, 1);
}

/** Fills a preallocated L2 table of one cluster. Entries past the end of the disk are unallocated. */
export function fillL2Table(layout: ImageLayout, index: number, table: Uint8Array): void {
  const { plan, geometry, data } = layout;
  const { clusterSize, l2Entries, extendedL2, externalData } = geometry;
  const first = index * l2Entries;
  const used = Math.min(l2Entries, Math.ceil(plan.size / clusterSize) - first);
  const view = viewOf(table);
  table.fill(0);
  for (let entry = 0; entry < used; entry++) {
    const host = (externalData ? 0 : data.at) + (first + entry) * clusterSize;
    // Extended entries have a host cluster but no allocated subcluster, as in QEMU: they read from a backing file.
    if (extendedL2)
      setL2Entry(geometry, view, entry, { kind: 'subclusters', host, owned: true, allocated: 0, zero: 0 });
    else setL2Entry(geometry, view, entry, { kind: 'data', host, owned: true });
  }
}

/** Length of the file, bytes. */
export function fileSizeOf({ clusters, geometry }: ImageLayout): number {
  return clusters * geometry.clusterSize;
}
