/** The kinds of guest bytes that the allocation map distinguishes, and their labels. */
import type { Extent } from 'qcow2';

/** In the order in which they are drawn, from the bottom of a cell, and listed. */
export const KINDS = ['data', 'compressed', 'backing', 'zero', 'unallocated', 'unknown'] as const;

/** One of {@link KINDS}. */
export type Kind = (typeof KINDS)[number];

/** The label of a kind, in the legend and in sentences, and its meaning. */
export const KIND_WORDS: Readonly<Record<Kind, { readonly label: string; readonly meaning: string }>> = {
  data: { label: 'Data', meaning: 'stored in this image as it is' },
  compressed: { label: 'Compressed', meaning: 'stored in this image, compressed' },
  backing: { label: 'From backing file', meaning: 'read from a file further down the chain' },
  zero: { label: 'Zeros', meaning: 'marked in this image to read as zeros' },
  unallocated: { label: 'Unallocated', meaning: 'stored nowhere, reads as zeros' },
  unknown: { label: 'Unknown', meaning: 'in a backing file that is not here' },
};

/** The kind of an extent. */
export function kindOf(extent: Extent): Kind {
  if (!extent.zero && !extent.data) return 'unknown';
  if (!extent.present) return 'unallocated';
  if (extent.depth > 0) return 'backing';
  if (extent.zero) return 'zero';
  return extent.compressed ? 'compressed' : 'data';
}
