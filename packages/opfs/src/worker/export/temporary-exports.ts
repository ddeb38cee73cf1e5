/** Manages temporary exports: files in OPFS with the bytes of an image, for downloads. */
import type { PrivateFolder } from '../storage/private-folder.js';
import { availableBytes, storageError } from '../storage/storage-error.js';
import { TemporaryFile } from '../storage/temporary-file.js';

/** The temporary exports of one worker, by the number of the call that made each. */
export class TemporaryExports {
  readonly #files = new Map<number, TemporaryFile>();

  /**
   * Fills a new temporary file.
   *
   * @param needed its length in bytes if known, else 0
   * @throws {@link Qcow2Error} `unavailable`, `no-space`; whatever `fill` throws. No file is left then.
   */
  async create(
    id: number,
    folder: PrivateFolder,
    needed: number,
    fill: (to: FileSystemFileHandle) => Promise<void>,
  ): Promise<File> {
    const directory = await folder.open();
    // Deleting stale temporary files frees space.
    await folder.sweepOnce();
    const available = await availableBytes();
    const temporary = await TemporaryFile.create(directory).catch((error) => {
      throw storageError(error, needed, available);
    });
    try {
      await fill(temporary.handle);
      const file = await temporary.handle.getFile();
      this.#files.set(id, temporary);
      return file;
    } catch (error) {
      await temporary.remove();
      throw storageError(error, needed, available);
    }
  }

  /** Deletes a temporary export. Does nothing if it is deleted already. */
  async remove(id: number): Promise<void> {
    const temporary = this.#files.get(id);
    this.#files.delete(id);
    await temporary?.remove();
  }

  /** Deletes every temporary export. */
  async removeAll(): Promise<void> {
    await Promise.all([...this.#files.keys()].map((id) => this.remove(id)));
  }
}
