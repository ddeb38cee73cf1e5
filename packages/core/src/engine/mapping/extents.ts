/** Owns the walk over one layer's tables that turns them into extents, and the merging of neighbours. */

import type { Extent } from '../../api/range.js';
import type { Geometry } from '../../format/geometry.js';
import { nextRun, type Run } from './runs.js';

/** Whether a layer's bytes have a place in its file that a reader could be pointed to: not when they are encrypted. */
export interface LayerTraits {
  readonly depth: number;
  readonly encrypted: boolean;
}

/**
 * The extents of `[start, end)` in one layer, neighbours merged. `tables` are the L2 tables that map the range, in
 * order. What the layer does not hold comes out with neither `data` nor `zero`.
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

/** Appends an extent, or lengthens the last one when this carries it on. */
export function appendExtent(extents: Extent[], next: Extent): void {
  const last = extents.at(-1);
  if (last !== undefined && continues(last, next)) last.length += next.length;
  else extents.push(next);
}

/** Whether `next` differs from `last` in nothing but where it is: the rule of `qemu-img map`. */
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

function extentOf(run: Run, start: number, { depth, encrypted }: LayerTraits): Extent {
  const extent: Extent = {
    start,
    length: run.length,
    depth,
    present: run.kind !== 'unallocated',
    zero: run.kind === 'zero',
    data: run.kind === 'data' || run.kind === 'compressed',
    compressed: run.kind === 'compressed',
  };
  if (run.host !== null && run.kind !== 'compressed' && !encrypted) extent.offset = run.host;
  return extent;
}
