/** Turns the tables of one layer into extents, and merges adjacent ones. */

import type { Extent } from '../../api/range.js';
import type { Qcow2Error } from '../../errors.js';
import type { Geometry } from '../../format/geometry.js';
import { nextRun, type Run } from './runs.js';

/** The layer's depth, and the error of reading it when it is encrypted. Its extents have no `offset` then. */
export interface LayerTraits {
  readonly depth: number;
  readonly unreadable: Qcow2Error | null;
}

/**
 * The extents of `[start, end)` in one layer, merged. `tables` are the L2 tables that map the range, in order. An
 * unallocated extent has neither `data` nor `zero`.
 *
 * @throws {@link Qcow2Error} `corrupt` when an entry contradicts the specification.
 */
export function layerExtents(
  geometry: Geometry,
  traits: LayerTraits,
  tables: readonly (DataView | null)[],
  start: number,
  end: number,
): Extent[] {
  const extents: Extent[] = [];
  let tableIndex = 0;
  let tableEnd = start - (start % geometry.bytesPerL2) + geometry.bytesPerL2;
  for (let at = start; at < end; ) {
    if (at === tableEnd) {
      tableIndex++;
      tableEnd += geometry.bytesPerL2;
    }
    const run = nextRun(geometry, tables[tableIndex] ?? null, at, end);
    appendExtent(extents, extentOf(run, at, traits));
    at += run.length;
  }
  return extents;
}

/** Appends an extent, or extends the last one if `next` continues it. */
export function appendExtent(extents: Extent[], next: Extent): void {
  const last = extents.at(-1);
  if (last !== undefined && continues(last, next)) last.length += next.length;
  else extents.push(next);
}

/** True if `next` follows `last` and differs in nothing but its place: the rule of `qemu-img map`. */
export function continues(last: Extent, next: Extent): boolean {
  return (
    last.start + last.length === next.start &&
    last.depth === next.depth &&
    last.present === next.present &&
    last.zero === next.zero &&
    last.data === next.data &&
    last.compressed === next.compressed &&
    (last.offset === undefined ? next.offset === undefined : next.offset === last.offset + last.length)
  );
}

/** The extent of a run at the guest offset `start`. */
export function extentOf(run: Run, start: number, { depth, unreadable }: LayerTraits): Extent {
  const extent: Extent = {
    start,
    length: run.length,
    depth,
    present: run.kind !== 'unallocated',
    zero: run.kind === 'zero',
    data: run.kind === 'data' || run.kind === 'compressed',
    compressed: run.kind === 'compressed',
  };
  if (run.host !== null && run.kind !== 'compressed' && unreadable === null) extent.offset = run.host;
  return extent;
}
