/** Turns L2 entries into runs: the longest run from a guest offset on that has one kind of mapping. */
import { Qcow2Error } from '../../errors.js';
import { hex } from '../../format/bytes.js';
import { countContiguous, getL2Entry, type Mapping } from '../../format/entries.js';
import { describeFault, l2Faults, UNREADABLE } from '../../format/entry-faults.js';
import type { Geometry } from '../../format/geometry.js';
import { tableOffset } from './table-offsets.js';

/** Consecutive guest bytes of one kind. If they have a host offset, they are contiguous in the file. */
export interface Run {
  readonly kind: 'unallocated' | 'zero' | 'data' | 'compressed';
  /** Guest bytes from the requested offset on. */
  readonly length: number;
  /** Host offset of the first byte, or of the compressed stream; null when the run has none. */
  readonly host: number | null;
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
  const max = Math.min(end - at, bytesPerL2 - within);
  if (table === null) return { kind: 'unallocated', length: max, host: null, stored: 0 };
  const index = Math.floor(within / clusterSize);
  const skip = within - index * clusterSize;
  const limit = Math.ceil((skip + max) / clusterSize);
  const mapping = getL2Entry(geometry, table, index);
  if (mayBeFaulty(geometry, mapping)) refuseFaults(geometry, table, index, at - skip);
  switch (mapping.kind) {
    case 'compressed': {
      const length = Math.min(max, clusterSize - skip);
      return { kind: 'compressed', length, host: mapping.host, stored: mapping.length };
    }
    case 'subclusters':
      return subclusterRun(geometry, table, index, mapping, at, max);
    default: {
      const count = countContiguous(geometry, table, index, limit);
      const length = Math.min(max, count * clusterSize - skip);
      const host = mapping.kind === 'unallocated' ? null : hostAt(mapping.host, skip);
      return { kind: mapping.kind, length, host, stored: 0 };
    }
  }
}

/** Whether an entry may have a fault for which a read refuses it. Most have none, and are not classified. */
function mayBeFaulty({ clusterSize, extendedL2, externalData, version }: Geometry, mapping: Mapping): boolean {
  if (mapping.kind === 'unallocated') return false;
  const { host } = mapping;
  if (extendedL2 || externalData || version === 2 || mapping.kind === 'compressed') return true;
  return host !== null && host % clusterSize !== 0;
}

/**
 * The kind of one subcluster, and the number of consecutive subclusters of that kind from `first` to the cluster's end.
 */
function subclusterKind(
  { allocated, zero }: Mapping & { kind: 'subclusters' },
  first: number,
): { kind: 'unallocated' | 'zero' | 'data'; count: number } {
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

/** The host offset of the byte `skip` bytes into a cluster. */
function hostAt(host: number | null, skip: number): number | null {
  return host === null ? null : host + skip;
}

function subclusterRun(
  geometry: Geometry,
  table: DataView,
  index: number,
  mapping: Mapping & { kind: 'subclusters' },
  at: number,
  max: number,
): Run {
  const { clusterSize, subclusterSize } = geometry;
  const skip = at % clusterSize;
  const first = Math.floor(skip / subclusterSize);
  const { kind, count } = subclusterKind(mapping, first);
  const host = hostAt(mapping.host, skip);
  let end = first + count;
  let length = end * subclusterSize - skip;
  // Extends the run into the next clusters, while they begin with the same kind and are contiguous in the file.
  for (let next = index + 1; end === SUBCLUSTERS && length < max; next++) {
    const following = getL2Entry(geometry, table, next);
    if (following.kind !== 'subclusters') break;
    if (following.host !== (host === null ? null : host + length)) break;
    refuseFaults(geometry, table, next, at + length);
    const run = subclusterKind(following, 0);
    if (run.kind !== kind) break;
    end = run.count;
    length += run.count * subclusterSize;
  }
  return { kind, length: Math.min(max, length), host, stored: 0 };
}

/**
 * Throws if an L2 entry has one of the faults of the mask `refused`, which `describe` describes; `guest` is the guest
 * offset of its cluster.
 *
 * @throws {@link Qcow2Error} `corrupt`.
 */
export function refuseFaults(
  geometry: Geometry,
  table: DataView,
  index: number,
  guest: number,
  refused: number = UNREADABLE,
  describe: (faults: number, offset: number) => string = describeFault,
): void {
  const faults = l2Faults(geometry, table, index, guest) & refused;
  if (faults === 0) return;
  const mapping = getL2Entry(geometry, table, index);
  const host = mapping.kind === 'unallocated' ? 0 : (mapping.host ?? 0);
  throw damaged(geometry, table, guest, describe(faults, host));
}

/**
 * The error for an L2 entry that contradicts the specification; `guest` is its guest offset, `table` the table that
 * contains it.
 */
export function damaged(geometry: Geometry, table: DataView, guest: number, finding: string): Qcow2Error {
  const { bytesPerL2, clusterSize, l2EntrySize } = geometry;
  const at = tableOffset(table) + Math.floor((guest % bytesPerL2) / clusterSize) * l2EntrySize;
  const message = `The L2 entry for guest offset ${hex(guest)} ${finding}.`;
  return new Qcow2Error('corrupt', message, { what: 'L2 entry', at, guest });
}
