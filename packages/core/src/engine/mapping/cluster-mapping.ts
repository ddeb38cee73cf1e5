/** Decodes an L2 entry that is about to be changed: its cluster as subclusters. Throws at every contradiction. */
import { getL2Entry } from '../../format/entries.js';
import type { Geometry } from '../../format/geometry.js';
import { describeAnyFault } from '../../format/table-faults.js';
import { refuseFaults } from './runs.js';

/**
 * A guest cluster before its change. A standard cluster counts as one subcluster. Bit n of a mask stands for subcluster
 * n; with its bit in neither mask, a subcluster is unallocated and read from the backing file.
 */
export interface ClusterMapping {
  /** The host cluster, or the start of the compressed stream. */
  readonly host: number | null;
  /** True if nothing else refers to the host cluster (the COPIED flag). */
  readonly owned: boolean;
  /** Subclusters with data in the host cluster. */
  readonly allocated: number;
  /** Subclusters that read as zeros. */
  readonly zero: number;
  /** Bytes of the compressed stream from `host` on; 0 when the cluster is not compressed. */
  readonly stored: number;
}

/** A run of host bytes that one entry no longer refers to. */
export interface Freed {
  readonly host: number;
  readonly length: number;
  /** The entry did not have the COPIED flag: a snapshot may refer to the cluster, too. */
  readonly shared?: boolean;
}

/** A write refuses an entry with any fault. */
const EVERY_FAULT = -1;

/** The mask of all subclusters of a cluster. */
export function allSubclusters({ extendedL2 }: Geometry): number {
  return extendedL2 ? 0xffff_ffff : 1;
}

/** The mask of the subclusters from `first` to `last`, both included. */
export function subclusterMask(first: number, last: number): number {
  const count = last - first + 1;
  return ((count === 32 ? 0xffff_ffff : (1 << count) - 1) << first) >>> 0;
}

/**
 * Entry `index` of an L2 table; `at` is the guest offset of its cluster.
 *
 * @throws {@link Qcow2Error} `corrupt` when the entry contradicts the specification.
 */
export function clusterMapping(geometry: Geometry, table: DataView, index: number, at: number): ClusterMapping {
  refuseFaults(geometry, table, index, at, EVERY_FAULT, describeAnyFault);
  const mapping = getL2Entry(geometry, table, index);
  switch (mapping.kind) {
    case 'unallocated':
      return { host: null, owned: false, allocated: 0, zero: 0, stored: 0 };
    case 'compressed':
      return { host: mapping.host, owned: false, allocated: 0, zero: 0, stored: mapping.length };
    case 'subclusters':
      return { ...mapping, stored: 0 };
    default: {
      const zero = mapping.kind === 'zero' ? 1 : 0;
      return { host: mapping.host, owned: mapping.owned, allocated: 1 - zero, zero, stored: 0 };
    }
  }
}

/** The host bytes that the entry no longer refers to after its change. */
export function freedOf({ clusterSize }: Geometry, { host, owned, stored }: ClusterMapping): Freed {
  const length = stored || clusterSize;
  return owned || stored > 0 ? { host: host!, length } : { host: host!, length, shared: true };
}

/** True if the cluster can be overwritten in place: it has an own host cluster, and is not compressed. */
export function isWritableInPlace({ host, owned, stored }: ClusterMapping): boolean {
  return host !== null && owned && stored === 0;
}

/** The host clusters that a write of `length` bytes from the guest offset `offset` on overwrites in place. */
export function clustersWrittenInPlace(
  geometry: Geometry,
  { first, tables }: { readonly first: number; readonly tables: readonly DataView[] },
  offset: number,
  length: number,
): number[] {
  const { clusterSize, bytesPerL2, externalData } = geometry;
  const hosts: number[] = [];
  if (externalData) return hosts;
  for (let at = offset - (offset % clusterSize); at < offset + length; at += clusterSize) {
    const table = tables[Math.floor(at / bytesPerL2) - first]!;
    const mapping = clusterMapping(geometry, table, Math.floor((at % bytesPerL2) / clusterSize), at);
    if (isWritableInPlace(mapping)) hosts.push(mapping.host!);
  }
  return hosts;
}

/**
 * The host offset of `length` bytes from the guest offset `at` on in their cluster, entry `index` of its table. Null
 * unless all of them are allocated and the cluster is not shared.
 *
 * @throws {@link Qcow2Error} `corrupt` when the entry contradicts the specification.
 */
export function hostOffsetInCluster(
  geometry: Geometry,
  table: DataView,
  index: number,
  at: number,
  length: number,
): number | null {
  const within = at % geometry.clusterSize;
  const mapping = clusterMapping(geometry, table, index, at - within);
  if (!isWritableInPlace(mapping)) return null;
  const unit = geometry.subclusterSize;
  const touched = subclusterMask(Math.floor(within / unit), Math.floor((within + length - 1) / unit));
  return (touched & ~mapping.allocated) === 0 ? mapping.host! + within : null;
}
