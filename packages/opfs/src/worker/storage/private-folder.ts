/** Opens the OPFS folder of a store. Other code of the origin may use OPFS too. */
import { Qcow2Error } from 'qcow2';
import { storageUnavailable } from './storage-error.js';
import { sweep } from './temporary-file.js';

/** A folder in OPFS that is created when it is first needed. */
export class PrivateFolder {
  readonly name: string;
  #swept: Promise<void> | null = null;

  constructor(name: string) {
    this.name = name;
  }

  /**
   * The folder, created if it does not exist.
   *
   * @throws {@link Qcow2Error} `unavailable` where the platform refuses OPFS or does not have it
   */
  async open(): Promise<FileSystemDirectoryHandle> {
    const root = await openRoot();
    try {
      return await root.getDirectoryHandle(this.name, { create: true });
    } catch (error) {
      throw storageUnavailable(error);
    }
  }

  /**
   * The folder, if it exists.
   *
   * @throws `DOMException` as the platform does, `NotFoundError` when it does not exist; {@link Qcow2Error}
   *   `unavailable`
   */
  async existing(): Promise<FileSystemDirectoryHandle> {
    // Must not create the folder for callers that only open files from elsewhere.
    return (await openRoot()).getDirectoryHandle(this.name);
  }

  /** Deletes the temporary files of earlier runs, once. Errors are ignored. */
  sweepOnce(): Promise<void> {
    this.#swept ??= this.#sweep().catch(() => {});
    return this.#swept;
  }

  async #sweep(): Promise<void> {
    await sweep(await this.existing());
  }
}

async function openRoot(): Promise<FileSystemDirectoryHandle> {
  if (!navigator.storage?.getDirectory) {
    throw new Qcow2Error(
      'unavailable',
      'This browser has no private file system (OPFS): Chrome 108, Firefox 111, Safari 16.4.',
    );
  }
  try {
    return await navigator.storage.getDirectory();
  } catch (error) {
    throw storageUnavailable(error);
  }
}
