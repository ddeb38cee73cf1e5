/** The verbs of a store in the worker: creates, imports and opens images in its folder. */
import { type CreateOptions, type Openable, type OpenOptions, Qcow2Image } from 'qcow2';
import type { Release } from '../../protocol/web-lock.js';
import type { Draft, Folder } from '../storage/folder.js';
import { type AbortableOptions, copyInto } from './file-copy.js';
import { ImageLocks, type LockWait } from './image-locks.js';
import { ImageNames } from './image-names.js';
import { imageNotFound } from './image-not-found.js';
import type { ImportSource } from './import-source.js';
import { LockedFiles } from './locked-files.js';
import { type OpenImage, openLockedImage, resolverOf } from './open-image.js';
import { StoredExports } from './stored-exports.js';
import { StoredImages } from './stored-images.js';

/** The images of a folder. Every name must come from `imageName`. */
export class ImageStore {
  readonly images: StoredImages;
  readonly names: ImageNames;
  readonly exports: StoredExports;
  readonly #folder: Folder;
  readonly #locks: ImageLocks;

  constructor(folder: Folder) {
    this.#folder = folder;
    this.#locks = new ImageLocks(folder.scope);
    this.images = new StoredImages(folder, this.#locks);
    this.names = new ImageNames(folder, this.#locks, this.images);
    this.exports = new StoredExports(folder, this.#locks, (name, options) => this.open(name, options));
  }

  /** Creates an empty image and opens it for writing. A failure leaves no file. */
  async create(name: string, options: CreateOptions & AbortableOptions & OpenOptions): Promise<OpenImage> {
    const lock = await this.names.lockFree(name, options.signal);
    // Its base stays locked until the image has its name: from then on its header protects the base.
    const lockedFiles = new LockedFiles(this.#folder, this.#locks, { signal: options.signal });
    try {
      await this.#fill(name, await this.#folder.draft(), options, async ({ device }) => {
        lockedFiles.set(name, device);
        // The caller's resolver is called once, when the image is opened.
        await (await Qcow2Image.create(device, { ...options, resolve: resolverOf(lockedFiles, {}) })).close();
      });
      lockedFiles.release();
      const { image, close } = await this.#openNew(name, options);
      return { image, close: () => close().finally(lock) };
    } catch (error) {
      lockedFiles.release();
      lock();
      throw error;
    }
  }

  /** Imports an image. A failure leaves no file. */
  async import(name: string, source: ImportSource, options: AbortableOptions): Promise<void> {
    const { signal } = options;
    // A file that is not an image is refused immediately, and one that does not fit before it is copied.
    const validated = source.whole ? requireImage(source.whole, signal) : null;
    // Awaiting it throws its error.
    validated?.catch(() => {});
    try {
      await this.#add(name, options, async (draft) => {
        const { device } = draft;
        await validated;
        if (source.size !== null) await device.truncate(source.size);
        await copyInto(draft, source, options);
        await requireImage(device, signal);
      });
    } finally {
      await source.end().catch(() => {});
    }
  }

  /**
   * Opens an image and those of its bases that are in the store. All stay locked until it is closed. The image itself
   * is locked exclusively if it is opened for writing.
   */
  async open(name: string, options: OpenOptions & LockWait = {}): Promise<OpenImage> {
    const lockedFiles = new LockedFiles(this.#folder, this.#locks, options);
    try {
      const source = await (options.mode === 'readwrite' || options.mode === 'repair'
        ? lockedFiles.openExclusive(name)
        : lockedFiles.openShared(name));
      return await openLockedImage(lockedFiles, source ?? imageNotFound(name), options);
    } catch (error) {
      lockedFiles.release();
      throw error;
    }
  }

  /** Fills a new file and gives it its name, under the lock of that name. */
  async #add(name: string, options: AbortableOptions, fill: (draft: Draft) => Promise<void>): Promise<void> {
    // In parallel with the lock: each waits some milliseconds for the browser's main process.
    const draft = this.#folder.draft();
    draft.catch(() => {});
    let release: Release;
    try {
      release = await this.names.lockFree(name, options.signal);
    } catch (error) {
      // The original error matters more.
      await draft.then((made) => made.discard()).catch(() => {});
      throw error;
    }
    try {
      await this.#fill(name, await draft, options, fill);
    } finally {
      release();
    }
  }

  /** Opens a new image for writing, or deletes it on failure. */
  async #openNew(name: string, { signal, cache, resolve }: OpenOptions): Promise<OpenImage> {
    const lockedFiles = new LockedFiles(this.#folder, this.#locks, { signal });
    try {
      const device = (await lockedFiles.openLocked(name)) ?? imageNotFound(name);
      return await openLockedImage(lockedFiles, device, { mode: 'readwrite', verify: false, signal, cache, resolve });
    } catch (error) {
      lockedFiles.release();
      await this.#folder.remove(name);
      throw error;
    }
  }

  /** Fills a file and gives it its name. A failure leaves no file. */
  async #fill(
    name: string,
    draft: Draft,
    { signal, reported }: AbortableOptions,
    fill: (draft: Draft) => Promise<void>,
  ): Promise<void> {
    try {
      signal.throwIfAborted();
      await fill(draft);
      await draft.device.flush();
      await reported?.();
      await this.names.nameDraft(name, draft, signal);
    } catch (error) {
      await draft.discard();
      throw error;
    }
  }
}

/** Opens an image to validate it. */
async function requireImage(source: Openable, signal: AbortSignal): Promise<void> {
  await (await Qcow2Image.open(source, { signal })).close();
}
