/**
 * Owns the verbs of a store in the worker: images that come into its folder, are opened, leave it, or change their
 * names.
 */
import { type ByteSource, type CreateOptions, type Openable, type OpenOptions, Qcow2Error, Qcow2Image } from 'qcow2';
import type { Release } from '../../protocol/web-lock.js';
import { bytePages, type Pages } from '../cursors/cursor.js';
import { exportInto } from '../export/raw-export.js';
import { fileDisk, filePages } from '../storage/file-disk.js';
import type { Draft, Folder, Move } from '../storage/folder.js';
import { storedBaseOf } from './base-names.js';
import { type Bases, leadsTo, overlaysOf } from './bases.js';
import { type AbortableOptions, copyInto } from './file-copy.js';
import { HeldFiles } from './held-files.js';
import { type OpenImage, openHeld, resolverOf } from './held-image.js';
import { ImageLocks } from './image-locks.js';
import type { ImportSource } from './import-source.js';
import { Inventory } from './inventory.js';

/** The images of a folder. Every name is one that `imageName` gave. */
export class Library {
  readonly inventory: Inventory;
  readonly #folder: Folder;
  readonly #locks: ImageLocks;

  constructor(folder: Folder) {
    this.#folder = folder;
    this.#locks = new ImageLocks(folder.scope);
    this.inventory = new Inventory(folder, this.#locks);
  }

  /** Makes an empty image, and opens it for writing. Nothing is left when it fails. */
  async create(name: string, options: CreateOptions & AbortableOptions & OpenOptions): Promise<OpenImage> {
    const lock = await this.#lockFree(name, options.signal);
    // Its base is held until its name is given: from then on the base is known to be in use.
    const held = new HeldFiles(this.#folder, this.#locks, options.signal);
    try {
      await this.#fill(name, await this.#folder.draft(), options, async ({ device }) => {
        held.set(name, device);
        // The caller is asked once, when the image is opened.
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
    // Whoever awaits it sees its error.
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
   * the image itself against everybody else when it is to be written.
   */
  async open(name: string, options: OpenOptions = {}): Promise<OpenImage> {
    const held = new HeldFiles(this.#folder, this.#locks, options.signal);
    try {
      const source = await (options.mode === 'readwrite' ? held.holdWritable(name) : held.hold(name));
      return await openHeld(held, source ?? notFound(name), options);
    } catch (error) {
      held.release();
      throw error;
    }
  }

  /** Writes an image into a file of the caller's. */
  async export(
    name: string,
    format: 'raw' | 'qcow2',
    to: FileSystemFileHandle,
    options: AbortableOptions,
  ): Promise<void> {
    await this.requireForeign(to);
    if (format === 'qcow2') {
      return this.#withFile(name, options.signal, (file) => exportInto(to, fileDisk(file), options));
    }
    const open = await this.open(name, { signal: options.signal });
    try {
      await exportInto(to, open.image, options);
    } finally {
      await open.close();
    }
  }

  /** The bytes of an image, to be fetched page by page. It is held until the pages end. */
  async stream(name: string, format: 'raw' | 'qcow2', options: AbortableOptions): Promise<Pages> {
    if (format === 'raw') {
      const open = await this.open(name, { signal: options.signal });
      return endingWith(bytePages(open.image.readable(undefined, options)), () => open.close());
    }
    const held = new HeldFiles(this.#folder, this.#locks, options.signal);
    try {
      const file = (await held.hold(name)) ?? notFound(name);
      return endingWith(filePages(file, options), () => held.release());
    } catch (error) {
      held.release();
      throw error;
    }
  }

  /** Gives an image another name. */
  async rename(from: string, to: string, signal: AbortSignal): Promise<void> {
    const requireMovable = async (): Promise<string | null> => {
      const bases = await this.inventory.bases();
      requireUnused(from, bases);
      return bases.get(from) ?? null;
    };
    const check = async (): Promise<void> => this.#requireNoCircle(await requireMovable(), to);
    const base = await requireMovable();
    if (from === to) return;
    await this.#requireFree(to);
    await this.#requireNoCircle(base, to);
    // In one order, or two that swap names would wait for each other.
    await this.#alone([from, to].sort(), signal, async () => {
      if (!(await this.#folder.has(from))) notFound(from);
      await this.#requireFree(to);
      await this.#move(await this.#folder.readyToRename(from, to), signal, check);
    });
  }

  /** Deletes an image. */
  async remove(name: string, signal: AbortSignal): Promise<void> {
    // At first without waiting for a lock: who has a base open is no news.
    requireUnused(name, await this.inventory.bases());
    await this.#alone([name], signal, () =>
      this.#locks.changeNames(signal, async () => {
        requireUnused(name, await this.inventory.bases());
        await this.#folder.remove(name);
      }),
    );
  }

  /**
   * An image of this folder is no place for an export: it would lose what it holds, perhaps the very bytes to be
   * exported.
   */
  async requireForeign(to: FileSystemFileHandle): Promise<void> {
    const name = await this.#folder.imageOf(to);
    if (name === null) return;
    throw new TypeError(`The file to export into is the image "${name}" of this store. Export into another file.`);
  }

  /** Fills a new file and gives it its name, under the lock of that name. */
  async #add(name: string, options: AbortableOptions, fill: (draft: Draft) => Promise<void>): Promise<void> {
    // Side by side with the lock: each waits some milliseconds for the browser's main process.
    const draft = this.#folder.draft();
    draft.catch(() => {});
    let release: Release;
    try {
      release = await this.#lockFree(name, options.signal);
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

  /** Holds a name that nobody has. */
  async #lockFree(name: string, signal: AbortSignal): Promise<Release> {
    await this.#requireFree(name);
    const release = await this.#locks.change(name, signal);
    try {
      await this.#requireFree(name);
      return release;
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Opens for writing what has just been made, or deletes it again. */
  async #openNew(name: string, { signal, cache, resolve }: OpenOptions): Promise<OpenImage> {
    const held = new HeldFiles(this.#folder, this.#locks, signal);
    try {
      const device = (await held.openLocked(name)) ?? notFound(name);
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
      await this.#giveName(name, draft, signal);
    } catch (error) {
      await draft.discard();
      throw error;
    }
  }

  /** Gives a file that is complete its name, when its chain does not lead in a circle. */
  async #giveName(name: string, draft: Draft, signal: AbortSignal): Promise<void> {
    const base = await storedBaseOf(draft.device);
    await this.#move(await draft.readyAs(name), signal, () => this.#requireNoCircle(base, name));
  }

  /**
   * Gives a file its name. `check`, the look for a circle, and the giving are one step under the lock of all names: of
   * two images that name each other as their base, the second would otherwise be looked at before the first has its
   * name. All that takes long has been done before.
   */
  async #move(move: Move, signal: AbortSignal, check: () => Promise<void>): Promise<void> {
    try {
      await this.#locks.changeNames(signal, async () => {
        await check();
        signal.throwIfAborted();
        await move.finish();
      });
    } catch (error) {
      await move.cancel();
      throw error;
    }
  }

  /** Does something to images that no other call, tab or worker has open. */
  async #alone(names: readonly string[], signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    const releases = [];
    try {
      for (const name of names) releases.push(await this.#locks.change(name, signal));
      await work();
    } finally {
      for (const release of releases) release();
    }
  }

  async #withFile(name: string, signal: AbortSignal, work: (file: ByteSource) => Promise<void>): Promise<void> {
    const held = new HeldFiles(this.#folder, this.#locks, signal);
    try {
      await work((await held.hold(name)) ?? notFound(name));
    } finally {
      held.release();
    }
  }

  /** An image cannot have the name of a file that it is based on: its chain would lead in a circle. */
  async #requireNoCircle(base: string | null, name: string): Promise<void> {
    if (!(await leadsTo(base, name, (image) => this.inventory.baseOf(image)))) return;
    throw new RangeError(`An image cannot be named ${JSON.stringify(name)}: it is based on an image of that name.`);
  }

  async #requireFree(name: string): Promise<void> {
    if (!(await this.#folder.has(name))) return;
    throw new Qcow2Error('exists', `There is an image of the name "${name}" already.`, { name });
  }
}

/** An image must be there, and none be based on it. */
function requireUnused(name: string, bases: Bases): void {
  if (!bases.has(name)) notFound(name);
  const overlays = overlaysOf(name, bases);
  if (overlays.length === 0) return;
  const who = overlays.map((overlay) => `"${overlay}"`).join(', ');
  throw new Qcow2Error('locked', `"${name}" is the base of ${who}, which cannot be read without it.`, {
    name,
    overlays,
  });
}

function notFound(name: string): never {
  throw new Qcow2Error('not-found', `There is no image of the name "${name}".`, { name });
}

/** Opens an image, to see that it is one. */
async function requireImage(source: Openable, signal: AbortSignal): Promise<void> {
  await (await Qcow2Image.open(source, { signal })).close();
}

function endingWith(pages: Pages, then: () => void | Promise<void>): Pages {
  return {
    next: () => pages.next(),
    async end() {
      try {
        await pages.end();
      } finally {
        await then();
      }
    },
  };
}
