/** Owns the folder of OPFS that a store keeps its files in: an origin may have other tenants. */
import { Qcow2Error } from 'qcow2';
import { storageUnavailable } from './storage-error.js';
import { sweep } from './temporary-file.js';

/** A folder in OPFS that is made when it is first needed. */
export class PrivateFolder {
  readonly name: string;
  #swept: Promise<void> | null = null;

  constructor(name: string) {
    this.name = name;
  }

  /**
   * The folder, made when it is not there.
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
   * The folder, when it is there.
   *
   * @throws `DOMException` as the platform does, `NotFoundError` when it is not there; {@link Qcow2Error} `unavailable`
   */
  async existing(): Promise<FileSystemDirectoryHandle> {
    // Whoever only opens files from elsewhere gets no folder.
    return (await openRoot()).getDirectoryHandle(this.name);
  }

  /** Deletes what earlier runs left, once. What cannot be swept keeps nobody from going on. */
  swept(): Promise<void> {
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
