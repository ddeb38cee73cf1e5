/** Opens a read layer for writing. Whatever prevents that throws before anything is read. */
import type { BlockDevice } from '../../api/device.js';
import type { ImageInfo } from '../../api/info.js';
import type { Openable } from '../../api/openable.js';
import type { OpenOptions } from '../../api/options.js';
import { RwLock } from '../../engine/async/rw-lock.js';
import type { Qcow2Layer } from '../../engine/layer/layer.js';
import { openWriter } from '../../engine/write/open-writer.js';
import type { Writer } from '../../engine/write/writer.js';
import { lockForWriting } from '../../sources/written-files.js';
import { Changes } from '../changes.js';
import { imageInfo } from '../info.js';
import { requireAutoCompact } from '../verb-arguments.js';
import type { CacheBudgets } from './open-options.js';
import { deviceOf, type Opening, type Writing } from './opening.js';

/** Opens an image for writing. From the start, no other image of this process can write to its file. */
export class WriteOpening implements Opening {
  /** The lock for the requests of the image. */
  readonly lock: RwLock = new RwLock();
  /** The image is read from its device. */
  readonly view = null;
  readonly device: BlockDevice;
  readonly #budgets: CacheBudgets;
  readonly #options: OpenOptions;
  readonly #releases: (() => void)[];

  /**
   * @throws TypeError when the image is no BlockDevice, TypeError or RangeError for a wrong `autoCompact`;
   *   {@link Qcow2Error} `locked` when another image of this process writes to it.
   */
  constructor(image: Openable, budgets: CacheBudgets, options: OpenOptions) {
    requireAutoCompact(options.autoCompact);
    this.device = deviceOf(image, 'image');
    this.#budgets = budgets;
    this.#options = options;
    this.#releases = [lockForWriting(this.device, 'image')];
  }

  /**
   * Makes the writer of the image. `dataFile` is its external data file, if it was opened.
   *
   * @throws TypeError when the data file is no BlockDevice; {@link Qcow2Error} `needs-repair`, `corrupt`, `locked` when
   *   another image of this process writes to the data file, and what the device throws; the signal's reason when it
   *   aborts.
   */
  async finish(layer: Qcow2Layer, dataFile: Openable | null): Promise<{ write: Writing }> {
    const { signal, onProgress, verify = true } = this.#options;
    const data = dataFile === null ? null : deviceOf(dataFile, 'data file');
    if (data !== null) this.#releases.push(lockForWriting(data, 'data file'));
    const { device, lock } = this;
    const writer = await openWriter({ layer, device, data, lock, budgets: this.#budgets }, signal);
    if (verify) await (await import('../check/verify.js')).verifyReferences(layer, { signal, onProgress });
    const auto = await this.#autoCompaction(writer, verify);
    const changes = new Changes(writer, () => layer.size, auto);
    return { write: { writer, info: currentInfo(writer, layer), changes, release: () => this.release() } };
  }

  async #autoCompaction(writer: Writer, verified: boolean): Promise<(() => void) | null> {
    const { autoCompact } = this.#options;
    if (autoCompact === undefined) return null;
    const module = await import('../on-demand.js');
    const compaction = new module.AutoCompaction(writer, autoCompact, verified);
    this.#releases.push(() => compaction.stop());
    return () => compaction.spaceFreed();
  }

  /** Releases the files. */
  release(): void {
    for (const release of this.#releases.splice(0)) release();
  }
}

/** The image's information. It is cached until it changes, since a caller may read it after every request. */
function currentInfo(writer: Writer, layer: Qcow2Layer): () => ImageInfo {
  let info: ImageInfo | null = null;
  let revision = 0;
  return () => {
    const { size: fileSize } = layer.source;
    if (info === null || writer.revision !== revision) {
      ({ revision } = writer);
      info = imageInfo(writer.current);
    } else if (info.fileSize !== fileSize) {
      info = { ...info, fileSize };
    }
    return info;
  };
}
