/** The extents of a map with `detectZeroes`, and how they follow from a map without it and from the disk's bytes. */
import type { Disk, Extent, MapOptions, Range } from '../../src/index.js';

/** All extents of a map. */
export async function extentsOf(image: Disk, range?: Range, options?: MapOptions): Promise<Extent[]> {
  const extents: Extent[] = [];
  for await (const extent of image.map(range, options)) extents.push(extent);
  return extents;
}

/** Splits extents that have data by whether the bytes of each unit are all zeros; `disk` are all bytes of the disk. */
export function splitByBytes(extents: readonly Extent[], disk: Uint8Array, unit: number): Extent[] {
  const split: Extent[] = [];
  for (const extent of extents) {
    const end = extent.start + extent.length;
    for (let at = extent.start; at < end; ) {
      const next = extent.data ? Math.min(end, (Math.floor(at / unit) + 1) * unit) : end;
      const zero = extent.data ? disk.subarray(at, next).every((byte) => byte === 0) : extent.zero;
      const last = split.at(-1);
      if (at > extent.start && last!.zero === zero) last!.length += next - at;
      else split.push({ ...partOf(extent, at), length: next - at, zero });
      at = next;
    }
  }
  return split;
}

function partOf(extent: Extent, at: number): Extent {
  const { offset } = extent;
  return { ...extent, start: at, ...(offset !== undefined && { offset: offset + at - extent.start }) };
}
