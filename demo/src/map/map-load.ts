/** Loads an image's allocation map: adds streamed extents to cells and pages, and triggers repaints. */
import { type Signal, signal } from '@preact/signals';
import type { Disk } from 'qcow2';
import { Allocation } from './allocation.js';
import { ExtentPages } from './extent-pages.js';

/** The state of the loading. */
export type MapState = 'loading' | 'complete' | { readonly failed: unknown };

/** Interval of repaints while the map loads, milliseconds. */
const REPAINT = 50;

/** The map of one image, while it loads and after. */
export class MapLoad {
  /** The cells. */
  readonly allocation: Allocation;
  /** The extents, by page. */
  readonly pages: ExtentPages;
  /** The state of the loading. */
  readonly state: Signal<MapState> = signal<MapState>('loading');
  /** Increases whenever there is more to paint. The cells themselves are not signals, since there are too many. */
  readonly version: Signal<number> = signal(0);
  /** The cell selected by pointer or keys. */
  readonly cell: Signal<number> = signal(0);
  /** The page of the extent table that is shown. */
  readonly page: Signal<number> = signal(0);

  /** For a disk whose map is read by `run`. */
  constructor(disk: Disk) {
    this.allocation = new Allocation(disk.size, disk.info.subclusterSize);
    this.pages = new ExtentPages(disk);
  }

  /** Reads the whole map. Resolves when it is complete, failed (`state` then contains the error), or aborted. */
  async run(disk: Disk, abort: AbortSignal): Promise<void> {
    let painted = performance.now();
    try {
      for await (const extent of disk.map(undefined, { signal: abort })) {
        this.allocation.add(extent);
        this.pages.add(extent);
        const now = performance.now();
        if (now - painted < REPAINT) continue;
        painted = now;
        this.version.value += 1;
      }
      this.state.value = 'complete';
    } catch (error) {
      if (abort.aborted) return;
      this.state.value = { failed: error };
    }
    this.version.value += 1;
  }
}
