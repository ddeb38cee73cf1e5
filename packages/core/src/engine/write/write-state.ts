/** The state of an image that is open for writing: the changes in memory that are not yet on the medium. */
import type { Transfer } from '../../api/device.js';
import type { Geometry } from '../../format/geometry.js';
import type { SpaceAllocator } from '../allocation/allocator.js';
import type { DirtyRanges } from '../allocation/dirty-ranges.js';
import type { MetadataMap } from '../allocation/metadata-map.js';
import type { Refcounts } from '../allocation/refcounts.js';
import type { Steps } from '../async/steps.js';
import type { TrackedBitmaps } from './bitmaps/tracked-bitmaps.js';
import type { UntrackedBitmaps } from './bitmaps/untracked-bitmaps.js';
import type { DirtyTables } from './dirty-tables.js';
import type { Lifecycle } from './lifecycle.js';
import type { TrackedDevice } from './tracked-device.js';
import type { WrittenHeader } from './written-header.js';
import type { WrittenTables } from './written-tables.js';

/** The state of an image's writer. */
export interface WriteState {
  readonly geometry: Geometry;
  /** The image file. */
  readonly device: TrackedDevice;
  /**
   * The file that contains the guest clusters: the image file, or an external data file. Null when that was not opened.
   */
  readonly data: TrackedDevice | null;
  readonly lifecycle: Lifecycle;
  readonly header: WrittenHeader;
  /** The active L1 table: the one of the table cache. */
  readonly l1: DataView;
  /** Its host offset in bytes: where changes of it are written. */
  l1At: number;
  readonly dirtyL1: DirtyRanges;
  readonly cache: WrittenTables;
  /** Those that differ from the medium. */
  readonly tables: DirtyTables;
  /** Words that will refer to other clusters, for the next roots stage: those of tables that are not kept in memory. */
  readonly words: Transfer[];
  readonly refcounts: Refcounts;
  readonly space: SpaceAllocator;
  readonly metadata: MetadataMap;
  /** The bitmaps that every write updates; null when there are none. */
  readonly bitmaps: TrackedBitmaps | null;
  /**
   * Bitmaps that cannot be updated. The first change removes them. Null when there are none, or after their removal.
   */
  untracked: UntrackedBitmaps | null;
  /** Lazy refcounts: refcounts are written at close, or when they must be. Until then the image is marked dirty. */
  readonly lazy: boolean;
  /** The largest number of refcount blocks in memory. */
  readonly maxBlocks: number;
  /** Loads refcount blocks by their index. */
  readonly loadBlocks: (indexes: readonly number[]) => Steps;
}
