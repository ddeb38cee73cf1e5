/** Plans a write: which host clusters take the bytes, what must be copied beside them, and which L2 entries change. */

import type { Transfer } from '../../api/device.js';
import { alignUp, hex } from '../../format/bytes.js';
import type { Mapping } from '../../format/entries.js';
import type { Geometry } from '../../format/geometry.js';
import {
  allSubclusters,
  type ClusterMapping,
  clusterMapping,
  type Freed,
  freedOf,
  isWritableInPlace,
  subclusterMask,
} from './cluster-mapping.js';
import { damaged } from './runs.js';

/** Allocates host clusters; implemented in `allocation/`. */
export interface Allocator {
  /** Returns a free host cluster. As many as a plan may need must be reserved before planning. */
  allocate(): number;
}

/** A new L2 entry, to be stored when the bytes are in place. */
export interface EntryChange {
  readonly l1Index: number;
  readonly index: number;
  readonly mapping: Mapping;
}

/** The plan of a write. Planning changes nothing but the allocator. */
export interface WritePlan {
  /**
   * Bytes for the image file, or for its external data file. Adjacent runs are merged where few bytes must be copied
   * for it.
   */
  readonly transfers: Transfer[];
  /** Parts of those transfers to be filled first, with the present guest bytes. */
  readonly copies: Transfer[];
  readonly changes: EntryChange[];
  readonly freed: Freed[];
  /** Clusters that were allocated: to be freed if reading the copies fails. */
  readonly taken: number[];
}

/** The parameters of planning, beside the request. */
export interface WriteContext {
  readonly geometry: Geometry;
  readonly allocator: Allocator;
  /** True if there is no backing file, so that unallocated clusters read as zeros. */
  readonly base: boolean;
  /**
   * Length in bytes of the file that takes the data. Clusters allocated past it read as zeros, so no zeros are written
   * to them.
   */
  readonly end: number;
  /** Returns a buffer to assemble bytes in, with undefined contents. */
  readonly takeBuffer: (length: number) => Uint8Array;
}

/** The L2 tables that map the request, in order, all of them allocated and owned, and the L1 index of the first. */
export interface WritableTables {
  readonly first: number;
  readonly tables: readonly DataView[];
}

/** Up to this many bytes, copies and new bytes are assembled into one transfer: copying them costs less than a call. */
const ASSEMBLE_BYTES = 256 * 1024;

/** Consecutive bytes of the target: of the caller, copied, or zeros. */
interface TargetRun {
  host: number;
  readonly guest: number;
  length: number;
  readonly kind: 'new' | 'old' | 'zero';
}

/**
 * Plans to write `bytes` at the guest offset `offset`.
 *
 * @throws {@link Qcow2Error} `corrupt` when an entry contradicts the specification.
 */
export function planWrite(
  context: WriteContext,
  written: WritableTables,
  offset: number,
  bytes: Uint8Array,
): WritePlan {
  const { clusterSize } = context.geometry;
  const plan: WritePlan = { transfers: [], copies: [], changes: [], freed: [], taken: [] };
  const runs: TargetRun[] = [];
  const end = offset + bytes.length;
  for (let at = offset; at < end; ) {
    const upTo = Math.min(end, at - (at % clusterSize) + clusterSize);
    planCluster(context, written, at, upTo, plan, runs);
    at = upTo;
  }
  addTransfers(context, runs, { at: offset, bytes }, plan);
  return plan;
}

/**
 * How many clusters a write to a file of `fileSize` bytes will allocate. Validates every entry before anything is
 * allocated, so that the plan cannot fail halfway.
 *
 * @throws {@link Qcow2Error} `corrupt` when an entry contradicts the specification, or points past the end of the file.
 */
export function clustersNeeded(
  geometry: Geometry,
  { first, tables }: WritableTables,
  offset: number,
  length: number,
  fileSize: number,
): number {
  if (geometry.externalData) return 0;
  const { clusterSize, bytesPerL2 } = geometry;
  let needed = 0;
  for (let at = offset - (offset % clusterSize); at < offset + length; at += clusterSize) {
    const index = Math.floor((at % bytesPerL2) / clusterSize);
    const table = tables[Math.floor(at / bytesPerL2) - first]!;
    const old = clusterMapping(geometry, table, index, at);
    if (!isWritableInPlace(old)) needed++;
    else if (old.host! >= alignUp(fileSize, clusterSize)) {
      // Writing there would grow the file to the entry's offset: petabytes, when the entry is damaged.
      throw damaged(geometry, table, at, `points to ${hex(old.host!)}, past the end of the file`);
    }
  }
  return needed;
}

/** Plans the part of a request that lies in one guest cluster. */
function planCluster(
  context: WriteContext,
  { first, tables }: WritableTables,
  at: number,
  upTo: number,
  plan: WritePlan,
  runs: TargetRun[],
): void {
  const { geometry, allocator } = context;
  const { clusterSize, subclusterSize, bytesPerL2, externalData } = geometry;
  const start = at - (at % clusterSize);
  const l1Index = Math.floor(at / bytesPerL2);
  const index = Math.floor((at % bytesPerL2) / clusterSize);
  const table = tables[l1Index - first]!;
  const old = clusterMapping(geometry, table, index, start);
  const touched = subclusterMask(
    Math.floor((at - start) / subclusterSize),
    Math.floor((upTo - 1 - start) / subclusterSize),
  );
  // In an external data file every cluster has a fixed offset, and is not shared.
  const inPlace = externalData || isWritableInPlace(old);
  let host = externalData ? start : old.host;
  if (!inPlace || host === null) {
    host = allocator.allocate();
    plan.taken.push(host);
    if (old.host !== null) plan.freed.push(freedOf(geometry, old));
  }
  const present = old.stored > 0 ? allSubclusters(geometry) : old.allocated;
  // Copy-on-write: subclusters already in this cluster are not copied. The others are, unless they are unallocated and
  // read from the backing file.
  const inPlaceMask = inPlace ? old.allocated : 0;
  const copyMask = inPlace ? 0 : present & ~touched;
  const cluster = { start, host, at, upTo, old, inPlaceMask, copyMask };
  addClusterRuns(context, cluster, runs);
  const allocated = (present | touched) >>> 0;
  const zero = (old.zero & ~touched) >>> 0;
  if (inPlace && old.owned && allocated === old.allocated && zero === old.zero) return;
  const mapping: Mapping = geometry.extendedL2
    ? { kind: 'subclusters', host, owned: true, allocated, zero }
    : { kind: 'data', host, owned: true };
  plan.changes.push({ l1Index, index, mapping });
}

/** A cluster with its target: `inPlaceMask` and `copyMask` are masks of subclusters, see {@link planCluster}. */
interface Cluster {
  readonly start: number;
  readonly host: number;
  readonly at: number;
  readonly upTo: number;
  readonly old: ClusterMapping;
  readonly inPlaceMask: number;
  readonly copyMask: number;
}

/** The runs of one cluster, in order: copied subclusters, the head, the new bytes, the tail, copied subclusters. */
function addClusterRuns(context: WriteContext, cluster: Cluster, runs: TargetRun[]): void {
  const { subclusterSize } = context.geometry;
  const { start, at, upTo, inPlaceMask } = cluster;
  const first = Math.floor((at - start) / subclusterSize);
  const last = Math.floor((upTo - 1 - start) / subclusterSize);
  addCopiedSubclusters(context, cluster, 0, first, runs);
  if (((inPlaceMask >>> first) & 1) === 0) {
    addRemainder(context, cluster, first, start + first * subclusterSize, at, runs);
  }
  addRun(context, cluster, at, upTo, 'new', runs);
  if (((inPlaceMask >>> last) & 1) === 0) {
    addRemainder(context, cluster, last, upTo, start + (last + 1) * subclusterSize, runs);
  }
  addCopiedSubclusters(context, cluster, last + 1, context.geometry.clusterSize / subclusterSize, runs);
}

/** Whole subclusters from `from` to before `to` that are copied into a new cluster. */
function addCopiedSubclusters(
  context: WriteContext,
  cluster: Cluster,
  from: number,
  to: number,
  runs: TargetRun[],
): void {
  if (cluster.copyMask === 0) return;
  const { subclusterSize } = context.geometry;
  for (let subcluster = from; subcluster < to; subcluster++) {
    if (((cluster.copyMask >>> subcluster) & 1) === 0) continue;
    const at = cluster.start + subcluster * subclusterSize;
    addRun(context, cluster, at, at + subclusterSize, 'old', runs);
  }
}

/** The part of a subcluster beside the new bytes, with its present contents. */
function addRemainder(
  context: WriteContext,
  cluster: Cluster,
  subcluster: number,
  from: number,
  to: number,
  runs: TargetRun[],
): void {
  if (from >= to) return;
  const { allocated, zero, stored } = cluster.old;
  const isZero = ((zero >>> subcluster) & 1) === 1;
  const isUnallocated = context.base && stored === 0 && ((allocated >>> subcluster) & 1) === 0;
  addRun(context, cluster, from, to, isZero || isUnallocated ? 'zero' : 'old', runs);
}

/** Appends a run, or extends the last one if the new one continues it. */
function addRun(
  context: WriteContext,
  { start, host }: Cluster,
  from: number,
  to: number,
  kind: TargetRun['kind'],
  runs: TargetRun[],
): void {
  const at = host + from - start;
  if (kind === 'zero' && at >= context.end) return;
  const last = runs.at(-1);
  const length = to - from;
  if (last !== undefined && last.kind === kind && last.host + last.length === at && last.guest + last.length === from) {
    last.length += length;
  } else {
    runs.push({ host: at, guest: from, length, kind });
  }
}

/** Turns runs into transfers: contiguous short runs are assembled, the caller's bytes are not copied otherwise. */
function addTransfers(context: WriteContext, runs: readonly TargetRun[], request: Transfer, plan: WritePlan): void {
  for (let from = 0; from < runs.length; ) {
    let to = from + 1;
    let length = runs[from]!.length;
    for (let next = runs[to]; next !== undefined; next = runs[to]) {
      if (next.host !== runs[from]!.host + length || length + next.length > ASSEMBLE_BYTES) break;
      length += next.length;
      to++;
    }
    const first = runs[from]!;
    if (to === from + 1 && first.kind === 'new') {
      const start = first.guest - request.at;
      plan.transfers.push({ at: first.host, bytes: request.bytes.subarray(start, start + first.length) });
    } else {
      assemble(context.takeBuffer(length), runs.slice(from, to), request, plan);
    }
    from = to;
  }
}

function assemble(bytes: Uint8Array, runs: readonly TargetRun[], request: Transfer, plan: WritePlan): void {
  const at = runs[0]!.host;
  for (const { host, guest, length, kind } of runs) {
    const into = bytes.subarray(host - at, host - at + length);
    if (kind === 'zero') into.fill(0);
    else if (kind === 'old') plan.copies.push({ at: guest, bytes: into });
    else into.set(request.bytes.subarray(guest - request.at, guest - request.at + length));
  }
  plan.transfers.push({ at, bytes });
}
