/** Places in an image: structures that a check names, and what they map. */
import type { Impact, Reference } from '../../api/check-report.js';
import type { Range } from '../../api/range.js';

/** What a structure maps: a range of the image's disk or of a snapshot's. */
export interface MappedRange extends Range {
  /** Size of that disk, bytes. Tables also map VM state, past its end. */
  readonly size: number;
  /** True for the image's disk, false for a snapshot's. */
  readonly active: boolean;
}

/** A structure of the image. */
export interface Place {
  /** The structure, in the specification's words. */
  readonly what: string;
  /** Offset in the image file, bytes. */
  readonly at: number;
  readonly maps?: MappedRange;
}

/** What a cluster is used for. */
export type Use =
  /** A cluster of guest data, and a compressed one, whose clusters others may share. */
  | 'data'
  | 'compressed'
  /** An L2 table, which the disk and its snapshots may share. */
  | 'table'
  /** What else is needed to read guest data: the header, L1 tables, the snapshot table, encryption keys. */
  | 'metadata'
  /** What is not: the refcount structure and bitmaps. */
  | 'refcounts'
  | 'bitmaps';

/** Returns the impact on the guest of a fault in what is used for `use`, unless that is only bookkeeping. */
export function impactOn(use: Use, impact: 'data-missing' | 'data-doubtful'): Impact {
  return use === 'refcounts' || use === 'bitmaps' ? 'bookkeeping' : impact;
}

/** The range that a place maps, cut to the disk; undefined when it maps nothing of it. */
export function guestOf({ maps }: Place): Range | undefined {
  if (maps === undefined) return undefined;
  const length = Math.min(maps.length, maps.size - maps.start);
  return length > 0 ? { start: maps.start, length } : undefined;
}

/** The places from `first` to `last`, which follow each other, as one. */
export function spanOf(first: Place, last: Place): Place {
  if (first.maps === undefined || last.maps === undefined) return first;
  const length = last.maps.start + last.maps.length - first.maps.start;
  return { ...first, maps: { ...first.maps, length } };
}

/** A place as a reference of the report. */
export function referenceOf(place: Place): Reference {
  const guest = guestOf(place);
  return { what: place.what, at: place.at, ...(guest !== undefined && { guest }) };
}
