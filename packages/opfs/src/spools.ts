/** Owns the spools: temporary OPFS files with the bytes of a disk, for downloads. */
import type { Disk, OperationOptions } from 'qcow2';
import type { PrivateFolder } from './private-folder.js';
import { exportRaw } from './raw-export.js';
import { openSink } from './raw-sink.js';
import { availableBytes, storageError } from './storage-error.js';
import { TemporaryFile } from './temporary-file.js';

/** The spools of one worker, by the number of the call that made each. */
export class Spools {
  readonly #held = new Map<number, TemporaryFile>();

  /**
   * Writes an image's bytes into a new temporary file.
   *
   * @throws {@link Qcow2Error} `unavailable`, `no-space`; whatever the image throws; the signal's reason when it aborts.
   *   Nothing is left then.
   */
  async create(id: number, image: Disk, folder: PrivateFolder, options: OperationOptions): Promise<File> {
    const directory = await folder.open();
    // What can be swept makes room.
    await folder.swept();
    const available = await availableBytes();
    const spool = await TemporaryFile.create(directory);
    try {
      await exportRaw(image, await openSink(spool.handle, image.size, available), options);
      const file = await spool.handle.getFile();
      this.#held.set(id, spool);
      return file;
    } catch (error) {
      await spool.remove();
      throw storageError(error, image.size, available);
    }
  }

  /** Deletes a spool; nothing happens when it is gone. */
  async remove(id: number): Promise<void> {
    const spool = this.#held.get(id);
    this.#held.delete(id);
    await spool?.remove();
  }

  /** Deletes every spool. */
  async removeAll(): Promise<void> {
    await Promise.all([...this.#held.keys()].map((id) => this.remove(id)));
  }
}
