/** Computes the sizes of an image's clusters, entries and tables from its header fields. */
import { type Header, INCOMPATIBLE } from './header.js';

/** Sizes and properties of an image that the mapping of guest offsets depends on. */
export interface Geometry {
  readonly version: 2 | 3;
  readonly clusterBits: number;
  readonly clusterSize: number;
  readonly extendedL2: boolean;
  /** Entries of an L2 table, and bytes of one of them (8, or 16 when extended). */
  readonly l2Entries: number;
  readonly l2EntrySize: number;
  /** Guest bytes that one L2 table maps. */
  readonly bytesPerL2: number;
  /** The unit of allocation: the cluster, or a 32nd of it when extended. */
  readonly subclusterSize: number;
  /** Guest clusters are stored in an external data file, each at its guest offset. */
  readonly externalData: boolean;
}

/** Computes the geometry from header fields. */
export function geometryOf(fields: {
  version: 2 | 3;
  clusterBits: number;
  extendedL2: boolean;
  externalData: boolean;
}): Geometry {
  const { version, clusterBits, extendedL2, externalData } = fields;
  const clusterSize = 2 ** clusterBits;
  const l2EntrySize = extendedL2 ? 16 : 8;
  const l2Entries = clusterSize / l2EntrySize;
  return {
    version,
    clusterBits,
    clusterSize,
    extendedL2,
    l2Entries,
    l2EntrySize,
    bytesPerL2: clusterSize * l2Entries,
    subclusterSize: extendedL2 ? clusterSize / 32 : clusterSize,
    externalData,
  };
}

/** Computes the geometry of the image that a header describes. */
export function geometryOfHeader({ version, clusterBits, incompatibleFeatures }: Header): Geometry {
  return geometryOf({
    version,
    clusterBits,
    extendedL2: incompatibleFeatures.includes(INCOMPATIBLE.extendedL2),
    externalData: incompatibleFeatures.includes(INCOMPATIBLE.dataFile),
  });
}

/** Number of L1 entries that a disk of `size` bytes needs. */
export function l1EntriesFor(geometry: Geometry, size: number): number {
  return Math.ceil(size / geometry.bytesPerL2);
}

/** Index of the L1 entry that maps a guest offset. */
export function l1IndexOf(geometry: Geometry, offset: number): number {
  return Math.floor(offset / geometry.bytesPerL2);
}
