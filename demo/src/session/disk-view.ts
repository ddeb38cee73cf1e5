/** The state of a disk on the page: of an image, or of one of its snapshots. */
import type { WorkerImage } from 'qcow2-opfs';
import type { Download } from '../download/download.js';
import type { Missing } from '../image/chain.js';
import type { MapLoad } from '../map/map-load.js';

/** A disk on the page. */
export interface DiskView {
  /** Its label on the page. */
  readonly name: string;
  readonly image: WorkerImage;
  /** The missing files of its chain. */
  readonly missing: readonly Missing[];
  readonly map: MapLoad;
  readonly download: Download;
  /** Aborts everything that still runs for it. */
  readonly abort: AbortController;
}
