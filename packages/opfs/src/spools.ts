/** Owns the spools: temporary OPFS files, each under a Web Lock of its name, so that what a crash leaves is told from what is in use. */
import { type Disk, type OperationOptions, Qcow2Error } from 'qcow2';
import { exportRaw } from './raw-export.js';
import { openSink } from './raw-sink.js';
import { availableBytes, storageError, storageUnavailable } from './storage-error.js';
import { holdLock, type Release } from './web-lock.js';

/** The folder of OPFS that this package keeps its files in: an origin may have other tenants. */
const FOLDER = 'qcow2';
const SPOOL_NAME = /^\.tmp-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

interface HeldSpool {
  readonly folder: FileSystemDirectoryHandle;
  readonly name: string;
  readonly release: Release;
}

/** The spools of one worker, by the number of the call that made each. */
export class Spools {
  readonly #held = new Map<number, HeldSpool>();
  #swept: Promise<void> | null = null;

  /**
   * Writes an image's bytes into a new temporary file.
   *
   * @throws {@link Qcow2Error} `unavailable`, `no-space`; whatever the image throws; the signal's reason when it aborts.
   *   Nothing is left then.
   */
  async create(id: number, image: Disk, options: OperationOptions): Promise<File> {
    const folder = await openFolder();
    // What cannot be swept must not keep anybody from a new spool; what can makes room for it.
    this.#swept ??= sweep(folder).catch(() => {});
    await this.#swept;
    const available = await availableBytes();
    const name = `.tmp-${crypto.randomUUID()}`;
    // Before the file exists, or another tab's sweep could take it.
    const release = await holdLock(name);
    try {
      const handle = await folder.getFileHandle(name, { create: true });
      await exportRaw(image, await openSink(handle, image.size, available), options);
      const file = await handle.getFile();
      this.#held.set(id, { folder, name, release });
      return file;
    } catch (error) {
      await removeFile(folder, name);
      release();
      throw storageError(error, image.size, available);
    }
  }

  /** Deletes a spool; nothing happens when it is gone. */
  async remove(id: number): Promise<void> {
    const spool = this.#held.get(id);
    if (!spool) return;
    this.#held.delete(id);
    try {
      await removeFile(spool.folder, spool.name);
    } finally {
      spool.release();
    }
  }

  /** Deletes every spool. */
  async removeAll(): Promise<void> {
    await Promise.all([...this.#held.keys()].map((id) => this.remove(id)));
  }
}

async function openFolder(): Promise<FileSystemDirectoryHandle> {
  if (!navigator.storage?.getDirectory) {
    throw new Qcow2Error(
      'unavailable',
      'This browser has no private file system (OPFS): Chrome 108, Firefox 111, Safari 16.4.',
    );
  }
  try {
    const root = await navigator.storage.getDirectory();
    return await root.getDirectoryHandle(FOLDER, { create: true });
  } catch (error) {
    throw storageUnavailable(error);
  }
}

/** Deletes the spools whose maker is gone: their locks are free. */
async function sweep(folder: FileSystemDirectoryHandle): Promise<void> {
  const names: string[] = [];
  for await (const name of folder.keys()) if (SPOOL_NAME.test(name)) names.push(name);
  for (const name of names) {
    const release = await holdLock(name, { ifFree: true });
    if (!release) continue;
    try {
      await removeFile(folder, name);
    } finally {
      release();
    }
  }
}

/** Deletes a file. One that is gone is well; one that a dying tab still holds is left to the next sweep. */
async function removeFile(folder: FileSystemDirectoryHandle, name: string): Promise<void> {
  try {
    await folder.removeEntry(name);
  } catch (error) {
    const known = error instanceof DOMException && ['NotFoundError', 'NoModificationAllowedError'].includes(error.name);
    if (!known) throw error;
  }
}
