/** Owns what the page has of any disk that it shows, an image's own or that of one of its snapshots. */
import type { WorkerImage } from 'qcow2-opfs';
import type { Download } from '../download/download.js';
import type { Missing } from '../image/chain.js';
import type { MapLoad } from '../map/map-load.js';

/** A disk on the page. */
export interface DiskView {
  /** What the page calls it. */
  readonly name: string;
  readonly image: WorkerImage;
  /** The files of its chain that are not here. */
  readonly missing: readonly Missing[];
  readonly map: MapLoad;
  readonly download: Download;
  /** Ends everything that still runs for it. */
  readonly abort: AbortController;
}
