/** Exports a store's images: into files of the caller's, and as streams. */
import type { ByteSource, OpenOptions, SalvageOptions } from 'qcow2';
import { bytePackets, type Packets } from '../cursors/cursor.js';
import { exportInto } from '../export/raw-export.js';
import { exportDisk } from '../export/salvaged-disk.js';
import { fileDisk, filePackets } from '../storage/file-disk.js';
import type { Folder } from '../storage/folder.js';
import type { AbortableOptions } from './file-copy.js';
import type { ImageLocks } from './image-locks.js';
import { imageNotFound } from './image-not-found.js';
import { LockedFiles } from './locked-files.js';
import type { OpenImage } from './open-image.js';

/** Opens an image of the store for reading. */
type OpenStored = (name: string, options: OpenOptions) => Promise<OpenImage>;

/** Exports the images of a folder. */
export class StoredExports {
  readonly #folder: Folder;
  readonly #locks: ImageLocks;
  readonly #open: OpenStored;

  constructor(folder: Folder, locks: ImageLocks, open: OpenStored) {
    this.#folder = folder;
    this.#locks = locks;
    this.#open = open;
  }

  /** Writes an image into a file of the caller's. */
  async into(
    name: string,
    format: 'raw' | 'qcow2',
    to: FileSystemFileHandle,
    options: AbortableOptions & SalvageOptions,
  ): Promise<void> {
    await this.requireForeign(to);
    if (format === 'qcow2') {
      return this.#withFile(name, options.signal, (file) => exportInto(to, fileDisk(file), options));
    }
    const open = await this.#open(name, { signal: options.signal });
    try {
      await exportDisk(to, open.image, options);
    } finally {
      await open.close();
    }
  }

  /** The bytes of an image, fetched packet by packet. It stays locked until the packets end. */
  async stream(name: string, format: 'raw' | 'qcow2', options: AbortableOptions & SalvageOptions): Promise<Packets> {
    if (format === 'raw') {
      const open = await this.#open(name, { signal: options.signal });
      return withCleanup(bytePackets(open.image.readable(undefined, options)), () => open.close());
    }
    const lockedFiles = new LockedFiles(this.#folder, this.#locks, { signal: options.signal });
    try {
      const file = (await lockedFiles.openShared(name)) ?? imageNotFound(name);
      return withCleanup(filePackets(file, options), () => lockedFiles.release());
    } catch (error) {
      lockedFiles.release();
      throw error;
    }
  }

  /** Refuses an image of this folder as the target: the export would overwrite it, perhaps while reading it. */
  async requireForeign(to: FileSystemFileHandle): Promise<void> {
    const name = await this.#folder.imageOf(to);
    if (name === null) return;
    throw new TypeError(`The file to export into is the image "${name}" of this store. Export into another file.`);
  }

  async #withFile(name: string, signal: AbortSignal, work: (file: ByteSource) => Promise<void>): Promise<void> {
    const lockedFiles = new LockedFiles(this.#folder, this.#locks, { signal });
    try {
      await work((await lockedFiles.openShared(name)) ?? imageNotFound(name));
    } finally {
      lockedFiles.release();
    }
  }
}

function withCleanup(packets: Packets, then: () => void | Promise<void>): Packets {
  return {
    next: () => packets.next(),
    async end() {
      try {
        await packets.end();
      } finally {
        await then();
      }
    },
  };
}
