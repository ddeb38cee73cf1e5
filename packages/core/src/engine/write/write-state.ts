/** Owns what an image that is open for writing keeps in memory and has not brought to its medium yet. */
import type { Geometry } from '../../format/geometry.js';
import type { SpaceAllocator } from '../allocation/allocator.js';
import type { DirtyRanges } from '../allocation/dirty-ranges.js';
import type { MetadataMap } from '../allocation/metadata-map.js';
import type { Refcounts } from '../allocation/refcounts.js';
import type { Steps } from '../async/steps.js';
import type { TrackedBitmaps } from './bitmaps/tracked-bitmaps.js';
import type { UntrackedBitmaps } from './bitmaps/untracked-bitmaps.js';
import type { DirtyTables } from './dirty-tables.js';
import type { TrackedDevice } from './tracked-device.js';

/** The writing side of an open image. */
export interface WriteState {
  readonly geometry: Geometry;
  /** The image file. */
  readonly device: TrackedDevice;
  /** Where guest clusters go: the image file, or an external data file. Null when that was not handed over. */
  readonly data: TrackedDevice | null;
  /** Rises with every change of what the image says of itself: of its header, and of the flags of its bitmaps. */
  revision: number;
  /** Sector 0 as it will be written next. */
  readonly header: DataView;
  /** The active L1 table, and where it lies. */
  readonly l1: DataView;
  readonly l1At: number;
  readonly dirtyL1: DirtyRanges;
  readonly tables: DirtyTables;
  readonly refcounts: Refcounts;
  readonly space: SpaceAllocator;
  readonly metadata: MetadataMap;
  /** The bitmaps that follow every change; null when there are none. */
  readonly bitmaps: TrackedBitmaps | null;
  /** Bitmaps that cannot follow, and go before the first change; null when there are none, or when they are gone. */
  untracked: UntrackedBitmaps | null;
  /** Refcounts go to the medium when the image is closed, or when they must; it is marked dirty until then. */
  readonly lazy: boolean;
  /** How many refcount blocks are kept in memory. */
  readonly mostBlocks: number;
  /** Loads refcount blocks by their index. */
  readonly loadBlocks: (indexes: readonly number[]) => Steps;
}
