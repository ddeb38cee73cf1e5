/** Compacts an image by itself while it is idle. */
import type { AutoCompactOptions } from '../../api/options.js';
import type { Structure } from '../../engine/write/structure.js';
import type { Writer } from '../../engine/write/writer.js';
import { Compaction } from './compact.js';
import { freeLeaks } from './leaks.js';

/** How long nothing must have been read or written before it begins, milliseconds. */
const IDLE_MS = 250;
/** How long it waits for that between two slices, milliseconds. */
const PAUSE_MS = 20;

/** The automatic compaction of one image. */
export class AutoCompaction {
  readonly #writer: Writer;
  readonly #options: AutoCompactOptions;
  readonly #ending = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running = false;
  /** Clusters that were free already when it last ended. */
  #before = 0;
  /** False until it is known that every cluster in use has a refcount: others could be cut off. */
  #verified: boolean;

  /** `verified` says that the references were counted when the image was opened. */
  constructor(writer: Writer, options: AutoCompactOptions, verified: boolean) {
    this.#writer = writer;
    this.#options = options;
    this.#verified = verified;
  }

  /** Begins as soon as the image is idle, if enough became free. Called whenever a request may have freed clusters. */
  spaceFreed(): void {
    if (this.#running || this.#timer !== undefined || this.#ending.signal.aborted) return;
    const activity = this.#writer.activity;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#writer.activity !== activity) this.spaceFreed();
      else if (this.#isDue) void this.#run();
    }, IDLE_MS);
  }

  /** Ends it. Closing the image ends one that is running, and waits for its slice. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#ending.abort();
  }

  /** True if anything became free since it last ended, and enough of it. */
  get #isDue(): boolean {
    const freed = this.#freed - this.#before;
    return freed > 0 && freed >= this.#options.afterDiscarded;
  }

  /** Bytes that became free since the image was opened, or that will with the next flush. */
  get #freed(): number {
    const { releasedClusters, quarantinedClusters } = this.#writer.spaceStats;
    return (releasedClusters + quarantinedClusters) * this.#writer.clusterSize;
  }

  async #run(): Promise<void> {
    this.#running = true;
    try {
      await this.#writer.restructureInBackground((structure) => this.#compact(structure), this.#ending.signal);
      this.#before = this.#freed;
      this.#running = false;
    } catch (error) {
      this.#running = false;
      // A verb that was called goes first. A failure of the device is reported by the next request.
      if ((error as { name?: unknown } | null)?.name === 'AbortError') this.spaceFreed();
      else this.#before = this.#freed; // it would fail again
    }
  }

  async #compact(structure: Structure): Promise<void> {
    const slice: Structure['slice'] = async (steps) => {
      await this.#idle(structure.signal);
      return structure.slice(steps);
    };
    if (!this.#verified) await freeLeaks(structure, this.#writer);
    this.#verified = true;
    await new Compaction({ ...structure, slice }, {}, this.#options.keepFree).run();
  }

  /** Waits until nothing was read or written for a while. */
  async #idle(signal: AbortSignal): Promise<void> {
    for (let activity = -1; activity !== this.#writer.activity; ) {
      activity = this.#writer.activity;
      await new Promise<void>((resolve) => setTimeout(resolve, PAUSE_MS));
      signal.throwIfAborted();
    }
  }
}
