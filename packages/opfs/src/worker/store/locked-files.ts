/** The files of a store that one open image uses: each under its lock, and one source for each name. */
import type { BlockDevice, ByteSource, ImageReference, Openable, Resolved } from 'qcow2';
import { storedFile } from '../../protocol/image-name.js';
import type { Release } from '../../protocol/web-lock.js';
import type { Folder } from '../storage/folder.js';
import type { ImageLocks, LockWait } from './image-locks.js';

/** Files that stay locked until they are released together. */
export class LockedFiles {
  readonly #folder: Folder;
  readonly #locks: ImageLocks;
  readonly #wait: LockWait;
  /** The engine detects a circular chain by identical sources. */
  readonly #sources = new Map<string, Openable>();
  readonly #opened: ByteSource[] = [];
  readonly #releases: Release[] = [];

  constructor(folder: Folder, locks: ImageLocks, wait: LockWait) {
    this.#folder = folder;
    this.#locks = locks;
    this.#wait = wait;
  }

  /** Sets the source of a name whose file is being created. */
  set(name: string, source: Openable): void {
    this.#sources.set(name, source);
  }

  /**
   * Locks and opens a file; null when there is none.
   *
   * @throws {@link Qcow2Error} `locked` while it is being changed, `unavailable`; the signal's reason
   */
  async openShared(name: string): Promise<ByteSource | null> {
    const release = await this.#locks.read(name, this.#wait);
    try {
      const file = await this.#folder.file(name);
      if (!file) {
        // The name stays free for a new image.
        release();
        return null;
      }
      const source = await file.open();
      this.#sources.set(name, source);
      this.#opened.push(source);
      this.#releases.push(release);
      return source;
    } catch (error) {
      release();
      throw error;
    }
  }

  /**
   * Locks a file exclusively and opens it for changes; null when there is none.
   *
   * @throws {@link Qcow2Error} `locked` when it is open, `unavailable`; the signal's reason
   */
  async openExclusive(name: string): Promise<BlockDevice | null> {
    const release = await this.#locks.change(name, this.#wait);
    try {
      const device = await this.openLocked(name);
      if (device) this.#releases.push(release);
      else release();
      return device;
    } catch (error) {
      release();
      throw error;
    }
  }

  /** As {@link openExclusive}, for a caller that holds the lock and keeps it until these files are released. */
  async openLocked(name: string): Promise<BlockDevice | null> {
    const file = await this.#folder.writable(name);
    if (!file) return null;
    this.#sources.set(name, file.device);
    this.#releases.push(() => file.close());
    return file.device;
  }

  /** The image of this store that a backing file's name refers to. Folders in the name are ignored. */
  async resolve({ kind, name, format }: ImageReference): Promise<Resolved> {
    const stored = kind === 'backing' ? storedFile(name) : null;
    if (stored === null) return undefined;
    const source = this.#sources.get(stored.name) ?? (await this.openShared(stored.name));
    // A format given in the image takes precedence over one in the name.
    if (source === null) return undefined;
    return format === undefined && stored.format !== undefined ? { source, format: stored.format } : source;
  }

  /** Releases every file. */
  release(): void {
    // No need to await `close`: nothing was written.
    for (const source of this.#opened.splice(0)) source.close?.();
    for (const release of this.#releases.splice(0)) release();
  }
}
