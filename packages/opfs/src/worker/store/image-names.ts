/** Adds, changes and removes the names of a store's images, each in one atomic step for every tab and worker. */
import { Qcow2Error } from 'qcow2';
import type { Release } from '../../protocol/web-lock.js';
import type { Draft, Folder, Move } from '../storage/folder.js';
import { type Bases, isBasedOn, overlaysOf } from './bases.js';
import type { ImageLocks } from './image-locks.js';
import { imageNotFound } from './image-not-found.js';
import { storedBaseOf } from './stored-headers.js';
import type { StoredImages } from './stored-images.js';

/** The names in a folder. Every name must come from `imageName`. */
export class ImageNames {
  readonly #folder: Folder;
  readonly #locks: ImageLocks;
  readonly #images: StoredImages;

  constructor(folder: Folder, locks: ImageLocks, images: StoredImages) {
    this.#folder = folder;
    this.#locks = locks;
    this.#images = images;
  }

  /**
   * Locks a free name.
   *
   * @throws {@link Qcow2Error} `exists`, `locked`; the signal's reason
   */
  async lockFree(name: string, signal: AbortSignal): Promise<Release> {
    await this.#requireFree(name);
    const release = await this.#locks.change(name, { signal });
    try {
      await this.#requireFree(name);
      return release;
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Gives a complete file its name, unless its chain would be circular. */
  async nameDraft(name: string, draft: Draft, signal: AbortSignal): Promise<void> {
    const base = await storedBaseOf(draft.device);
    await this.#move(await draft.prepareMove(name), signal, () => this.#requireNoCircle(base, name));
  }

  /** Renames an image. */
  async rename(from: string, to: string, signal: AbortSignal): Promise<void> {
    const requireMovable = async (): Promise<string | null> => {
      const bases = await this.#images.bases();
      requireUnused(from, bases);
      return bases.get(from) ?? null;
    };
    const check = async (): Promise<void> => this.#requireNoCircle(await requireMovable(), to);
    const base = await requireMovable();
    if (from === to) return;
    await this.#requireFree(to);
    await this.#requireNoCircle(base, to);
    // In a fixed order: two renames that swap names would otherwise deadlock.
    await this.#withExclusiveLocks([from, to].sort(), signal, async () => {
      if (!(await this.#folder.has(from))) imageNotFound(from);
      await this.#requireFree(to);
      await this.#move(await this.#folder.prepareRename(from, to), signal, check);
    });
  }

  /** Deletes an image. */
  async remove(name: string, signal: AbortSignal): Promise<void> {
    // First without waiting for a lock: an image that is a base is refused whether it is open or not.
    requireUnused(name, await this.#images.bases());
    await this.#withExclusiveLocks([name], signal, () =>
      this.#locks.changeNames(signal, async () => {
        requireUnused(name, await this.#images.bases());
        await this.#folder.remove(name);
      }),
    );
  }

  /**
   * Gives a file its name. `check`, which looks for a circle, and the naming are one step under the lock of all names.
   * Otherwise, of two images that name each other as their base, the second could be checked before the first has its
   * name. All slow work has been done before.
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

  /** Runs `work` on images that no other call, tab or worker has open. */
  async #withExclusiveLocks(names: readonly string[], signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    const releases = [];
    try {
      for (const name of names) releases.push(await this.#locks.change(name, { signal }));
      await work();
    } finally {
      for (const release of releases) release();
    }
  }

  /** An image cannot have the name of a file that it is based on: its chain would be circular. */
  async #requireNoCircle(base: string | null, name: string): Promise<void> {
    if (!(await isBasedOn(base, name, (image) => this.#images.baseOf(image)))) return;
    throw new RangeError(`An image cannot be named ${JSON.stringify(name)}: it is based on an image of that name.`);
  }

  async #requireFree(name: string): Promise<void> {
    if (!(await this.#folder.has(name))) return;
    throw new Qcow2Error('exists', `There is an image of the name "${name}" already.`, { name });
  }
}

/** Throws unless the image exists and no image is based on it. */
function requireUnused(name: string, bases: Bases): void {
  if (!bases.has(name)) imageNotFound(name);
  const overlays = overlaysOf(name, bases);
  if (overlays.length === 0) return;
  const names = overlays.map((overlay) => `"${overlay}"`).join(', ');
  throw new Qcow2Error('locked', `"${name}" is the base of ${names}, which cannot be read without it.`, {
    name,
    overlays,
  });
}
