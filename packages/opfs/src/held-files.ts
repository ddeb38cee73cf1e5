/** Owns the files of a store that one open image reads: each under its lock, and the same file for the same name. */
import type { ImageReference, Openable } from 'qcow2';
import type { Folder, FolderFile } from './folder.js';
import { lastComponent } from './image-name.js';
import type { ImageLocks } from './lock.js';
import type { Release } from './web-lock.js';

/** Files that are held for reading until they are released together. */
export class HeldFiles {
  readonly #folder: Folder;
  readonly #locks: ImageLocks;
  readonly #signal: AbortSignal | undefined;
  /** The engine tells a chain that leads in a circle by the sources being the same. */
  readonly #sources = new Map<string, Openable>();
  readonly #releases: Release[] = [];

  constructor(folder: Folder, locks: ImageLocks, signal: AbortSignal | undefined) {
    this.#folder = folder;
    this.#locks = locks;
    this.#signal = signal;
  }

  /** Says what stands for a name whose file is being made. */
  set(name: string, source: Openable): void {
    this.#sources.set(name, source);
  }

  /**
   * Holds a file; null when there is none.
   *
   * @throws {@link Qcow2Error} `locked` when somebody changes it, `unavailable`; the signal's reason
   */
  async hold(name: string): Promise<FolderFile | null> {
    const release = await this.#locks.read(name, this.#signal);
    try {
      const file = await this.#folder.file(name);
      if (!file) {
        // The name is free for whoever makes the image that was missed.
        release();
        return null;
      }
      this.#sources.set(name, file.source);
      this.#releases.push(release);
      return file;
    } catch (error) {
      release();
      throw error;
    }
  }

  /** The image of this store that a backing file's name leads to, whatever folders the name goes through; else null. */
  async resolve({ kind, name }: ImageReference): Promise<Openable | null> {
    const stored = kind === 'backing' ? lastComponent(name) : null;
    if (stored === null) return null;
    return this.#sources.get(stored) ?? (await this.hold(stored))?.source ?? null;
  }

  /** Lets go of every file. */
  release(): void {
    for (const release of this.#releases.splice(0)) release();
  }
}
