/** Turns L2 entries into runs: the longest run from a guest offset on that has one kind of mapping. */
import { Qcow2Error } from '../../errors.js';
import { hex } from '../../format/bytes.js';
import { countContiguous, getL2Entry, type Mapping } from '../../format/entries.js';
import type { Geometry, HostOffset } from '../../format/geometry.js';
import { tablePlace } from './table-places.js';

/** Consecutive guest bytes of one kind. If they have a host offset, they are contiguous in the file. */
export interface Run {
  readonly kind: 'unallocated' | 'zero' | 'data' | 'compressed';
  /** Guest bytes from the requested offset on. */
  readonly length: number;
  /** Host offset of the first byte, or of the compressed stream; null when the run has none. */
  readonly host: HostOffset | null;
  /** Bytes of the compressed stream, else 0. */
  readonly stored: number;
}

/** Subclusters in a cluster of an image with extended L2 entries. */
const SUBCLUSTERS = 32;

/**
 * The run that begins at the guest offset `at` and ends at `end` or at the end of `table`, whichever is first. `table`
 * is the L2 table that maps `at`, null when there is none.
 *
 * @throws {@link Qcow2Error} `corrupt` when the entry contradicts the specification.
 */
export function nextRun(geometry: Geometry, table: DataView | null, at: number, end: number): Run {
  const { clusterSize, bytesPerL2 } = geometry;
  const within = at % bytesPerL2;
  const most = Math.min(end - at, bytesPerL2 - within);
  if (table === null) return { kind: 'unallocated', length: most, host: null, stored: 0 };
  const index = Math.floor(within / clusterSize);
  const skip = within - index * clusterSize;
  const limit = Math.ceil((skip + most) / clusterSize);
  const mapping = getL2Entry(geometry, table, index);
  switch (mapping.kind) {
    case 'compressed': {
      refuseCompressed(geometry, table, mapping.host, at);
      const length = Math.min(most, clusterSize - skip);
      return { kind: 'compressed', length, host: mapping.host, stored: mapping.length };
    }
    case 'subclusters':
      return subclusterRun(geometry, table, index, mapping, at, most);
    default: {
      if (mapping.kind === 'zero') refuseZero(geometry, table, at);
      const count = countContiguous(geometry, table, index, limit);
      const length = Math.min(most, count * clusterSize - skip);
      const host = mapping.kind === 'unallocated' ? null : placeOf(geometry, table, mapping.host, at, skip);
      return { kind: mapping.kind, length, host, stored: 0 };
    }
  }
}

/**
 * The kind of one subcluster, and the number of consecutive subclusters of that kind from `first` to the cluster's end.
 */
function subclusterKind(
  geometry: Geometry,
  table: DataView,
  mapping: Mapping & { kind: 'subclusters' },
  first: number,
  at: number,
): { kind: 'unallocated' | 'zero' | 'data'; count: number } {
  refuseSubclusters(geometry, table, mapping, at);
  const { allocated, zero } = mapping;
  const isData = (allocated >>> first) & 1;
  const isZero = (zero >>> first) & 1;
  let count = 1;
  while (
    first + count < SUBCLUSTERS &&
    ((allocated >>> (first + count)) & 1) === isData &&
    ((zero >>> (first + count)) & 1) === isZero
  ) {
    count++;
  }
  return { kind: isData ? 'data' : isZero ? 'zero' : 'unallocated', count };
}

function subclusterRun(
  geometry: Geometry,
  table: DataView,
  index: number,
  mapping: Mapping & { kind: 'subclusters' },
  at: number,
  most: number,
): Run {
  const { clusterSize, subclusterSize } = geometry;
  const skip = at % clusterSize;
  const first = Math.floor(skip / subclusterSize);
  const { kind, count } = subclusterKind(geometry, table, mapping, first, at);
  const host = placeOf(geometry, table, mapping.host, at, skip);
  let end = first + count;
  let length = end * subclusterSize - skip;
  // Extends the run into the next clusters, while they begin with the same kind and are contiguous in the file.
  for (let next = index + 1; end === SUBCLUSTERS && length < most; next++) {
    const following = getL2Entry(geometry, table, next);
    if (following.kind !== 'subclusters') break;
    if (following.host !== (host === null ? null : host + length)) break;
    const run = subclusterKind(geometry, table, following, 0, at + length);
    if (run.kind !== kind) break;
    end = run.count;
    length += run.count * subclusterSize;
  }
  return { kind, length: Math.min(most, length), host, stored: 0 };
}

/** Throws if the two subcluster bitmaps contradict each other, or a subcluster is allocated without a host cluster. */
export function refuseSubclusters(
  geometry: Geometry,
  table: DataView,
  { allocated, zero, host }: Mapping & { kind: 'subclusters' },
  at: number,
): void {
  const refuse = (finding: string) => damaged(geometry, table, at, finding);
  if ((allocated & zero) !== 0) throw refuse('has subclusters that are both allocated and zero');
  if (host === null && allocated !== 0) throw refuse('has allocated subclusters and no cluster to hold them');
}

/** The host offset of the byte `skip` bytes into a cluster. Throws if the cluster's host offset is invalid. */
export function placeOf(
  geometry: Geometry,
  table: DataView,
  host: HostOffset | null,
  at: number,
  skip: number,
): HostOffset | null {
  if (host === null) return null;
  const refuse = (finding: string) => damaged(geometry, table, at, finding);
  if (host % geometry.clusterSize !== 0) throw refuse(`points to ${hex(host)}, no multiple of the cluster size`);
  if (geometry.externalData && host !== at - skip) {
    throw refuse(`points to ${hex(host)} in the external data file, where it must equal the guest offset`);
  }
  return (host + skip) as HostOffset;
}

/** Throws if the image cannot have zero clusters. */
export function refuseZero(geometry: Geometry, table: DataView, at: number): void {
  if (geometry.version === 2) throw damaged(geometry, table, at, 'has the zero flag, which version 2 does not know');
}

/** Throws if the image cannot have a compressed cluster at this offset. */
export function refuseCompressed(geometry: Geometry, table: DataView, host: HostOffset, at: number): void {
  if (geometry.externalData)
    throw damaged(geometry, table, at, 'is compressed, in an image with an external data file');
  if (!Number.isSafeInteger(host)) throw damaged(geometry, table, at, 'is compressed, at an offset past 2^53 - 1');
}

/**
 * The error for an L2 entry that contradicts the specification; `guest` is its guest offset, `table` the table that
 * contains it.
 */
export function damaged(geometry: Geometry, table: DataView, guest: number, finding: string): Qcow2Error {
  const { bytesPerL2, clusterSize, l2EntrySize } = geometry;
  const at = tablePlace(table) + Math.floor((guest % bytesPerL2) / clusterSize) * l2EntrySize;
  const message = `The L2 entry for guest offset ${hex(guest)} ${finding}.`;
  return new Qcow2Error('corrupt', message, { what: 'L2 entry', at, guest });
}
