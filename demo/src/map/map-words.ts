/** Describes the allocation map in words: one cell, and the whole. */

import { formatShare, formatSize } from '../engine/size.js';
import type { Allocation } from './allocation.js';
import { KIND_WORDS, KINDS, type Kind } from './kind.js';

/** The position of a cell: `1.5 MiB to 1.56 MiB`. */
export function cellPlace(allocation: Allocation, cell: number): string {
  const { start, end } = allocation.bounds(cell);
  return `${formatSize(start)} to ${formatSize(end)}`;
}

/** The contents of a cell: `Data`, or `Data 60%, Unallocated 40%`. */
export function cellContents(allocation: Allocation, cell: number): string {
  const { start, end } = allocation.bounds(cell);
  const held = KINDS.filter((kind) => allocation.share(cell, kind) > 0);
  if (held.length === 0) return 'Not loaded yet';
  const only = held.length === 1 ? held[0] : undefined;
  if (only !== undefined && allocation.share(cell, only) === end - start) {
    return `${KIND_WORDS[only].label}: ${KIND_WORDS[only].meaning}`;
  }
  const parts = held.map(
    (kind) => `${KIND_WORDS[kind].label} ${formatShare(allocation.share(cell, kind), end - start)}`,
  );
  return parts.join(', ');
}

const SENTENCES: Readonly<Record<Kind, (share: string, size: string) => string>> = {
  data: (share, size) => `${share} holds data as it is (${size}).`,
  compressed: (share, size) => `${share} holds compressed data (${size}).`,
  backing: (share, size) => `${share} comes from the backing chain (${size}).`,
  zero: (share, size) => `${share} is marked as zeros (${size}).`,
  unallocated: (share, size) => `${share} is not allocated (${size}).`,
  unknown: (share, size) => `${share} is in a file that is not here (${size}).`,
};

/** The whole map in a few sentences, one for each kind that occurs. */
export function mapSummary(allocation: Allocation): string[] {
  return KINDS.filter((kind) => allocation.total(kind) > 0).map((kind) => {
    const bytes = allocation.total(kind);
    return SENTENCES[kind](formatShare(bytes, allocation.size), formatSize(bytes));
  });
}
