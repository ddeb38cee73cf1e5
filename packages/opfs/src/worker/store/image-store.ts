/** The verbs of a store in the worker: images are created, imported and opened in its folder. */
import { type CreateOptions, type Openable, type OpenOptions, Qcow2Image } from 'qcow2';
import type { Release } from '../../protocol/web-lock.js';
import type { Draft, Folder } from '../storage/folder.js';
import { type AbortableOptions, copyInto } from './file-copy.js';
import { HeldFiles } from './held-files.js';
import { type OpenImage, openHeld, resolverOf } from './held-image.js';
import { ImageLocks, type LockWait } from './image-locks.js';
import { ImageNames } from './image-names.js';
import { imageNotFound } from './image-not-found.js';
import type { ImportSource } from './import-source.js';
import { StoredExports } from './stored-exports.js';
import { StoredImages } from './stored-images.js';

/** The images of a folder. Every name is one that `imageName` gave. */
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

  /** Makes an empty image, and opens it for writing. Nothing is left when it fails. */
  async create(name: string, options: CreateOptions & AbortableOptions & OpenOptions): Promise<OpenImage> {
    const lock = await this.names.lockFree(name, options.signal);
    // Its base is held until its name is given: from then on the base is known to be in use.
    const held = new HeldFiles(this.#folder, this.#locks, { signal: options.signal });
    try {
      await this.#fill(name, await this.#folder.draft(), options, async ({ device }) => {
        held.set(name, device);
        // The caller's resolver is called once, when the image is opened.
        await (await Qcow2Image.create(device, { ...options, resolve: resolverOf(held, {}) })).close();
      });
      held.release();
      const { image, close } = await this.#openNew(name, options);
      return { image, close: () => close().finally(lock) };
    } catch (error) {
      held.release();
      lock();
      throw error;
    }
  }

  /** Takes an image over. Nothing is left when it fails. */
  async import(name: string, source: ImportSource, options: AbortableOptions): Promise<void> {
    const { signal } = options;
    // What is no image is refused at once, and what does not fit before it is copied.
    const looked = source.whole ? requireImage(source.whole, signal) : null;
    // Awaiting it throws its error.
    looked?.catch(() => {});
    try {
      await this.#add(name, options, async (draft) => {
        const { device } = draft;
        await looked;
        if (source.size !== null) await device.truncate(source.size);
        await copyInto(draft, source, options);
        await requireImage(device, signal);
      });
    } finally {
      await source.end().catch(() => {});
    }
  }

  /**
   * Opens an image and, where they are in the store, the images that it is based on. All are held until it is closed,
   * the image itself alone when it is to be written.
   */
  async open(name: string, options: OpenOptions & LockWait = {}): Promise<OpenImage> {
    const held = new HeldFiles(this.#folder, this.#locks, options);
    try {
      const source = await (options.mode === 'readwrite' ? held.holdWritable(name) : held.hold(name));
      return await openHeld(held, source ?? imageNotFound(name), options);
    } catch (error) {
      held.release();
      throw error;
    }
  }

  /** Fills a new file and gives it its name, under the lock of that name. */
  async #add(name: string, options: AbortableOptions, fill: (draft: Draft) => Promise<void>): Promise<void> {
    // Side by side with the lock: each waits some milliseconds for the browser's main process.
    const draft = this.#folder.draft();
    draft.catch(() => {});
    let release: Release;
    try {
      release = await this.names.lockFree(name, options.signal);
    } catch (error) {
      // What went wrong first is worth more.
      await draft.then((made) => made.discard()).catch(() => {});
      throw error;
    }
    try {
      await this.#fill(name, await draft, options, fill);
    } finally {
      release();
    }
  }

  /** Opens for writing what has just been made, or deletes it again. */
  async #openNew(name: string, { signal, cache, resolve }: OpenOptions): Promise<OpenImage> {
    const held = new HeldFiles(this.#folder, this.#locks, { signal });
    try {
      const device = (await held.openLocked(name)) ?? imageNotFound(name);
      return await openHeld(held, device, { mode: 'readwrite', verify: false, signal, cache, resolve });
    } catch (error) {
      held.release();
      await this.#folder.remove(name);
      throw error;
    }
  }

  /** Fills a file and gives it its name. Nothing is left of it when that fails. */
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
      await this.names.give(name, draft, signal);
    } catch (error) {
      await draft.discard();
      throw error;
    }
  }
}

/** Opens an image, to see that it is one. */
async function requireImage(source: Openable, signal: AbortSignal): Promise<void> {
  await (await Qcow2Image.open(source, { signal })).close();
}
