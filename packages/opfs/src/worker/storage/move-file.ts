/** Renames OPFS files, also where the platform has no `move`. */
import { yieldToEventLoop } from 'qcow2/internal';
import type { Move } from './folder.js';
import { OpfsDevice } from './opfs-device.js';
import { openSyncHandle, type SyncHandle } from './sync-handle.js';

/** Bytes copied in one step. */
const CHUNK = 1024 * 1024;

/**
 * Prepares to give a file of a folder another name, which must be free. Does all the slow work. Where the platform
 * cannot move files, that is a copy without its first chunk.
 *
 * @throws {@link Qcow2Error} `no-space` where the file has to be copied; `DOMException` as the platform does
 */
export async function prepareMove(
  folder: FileSystemDirectoryHandle,
  file: FileSystemFileHandle,
  name: string,
): Promise<Move> {
  const { move } = file as { move?: (name: string) => Promise<void> };
  if (move) return { finish: () => move.call(file, name), cancel: async () => {} };
  const copy = await FileCopy.start(folder, file, name);
  try {
    await copy.copyRest();
  } catch (error) {
    await copy.cancel();
    throw error;
  }
  return copy;
}

/**
 * A copy under the new name. Its first chunk is written last: after a crash the copy has no header, and is not an
 * image.
 */
class FileCopy implements Move {
  readonly #folder: FileSystemDirectoryHandle;
  readonly #file: FileSystemFileHandle;
  readonly #name: string;
  readonly #from: OpfsDevice;
  readonly #to: OpfsDevice;

  private constructor(
    folder: FileSystemDirectoryHandle,
    file: FileSystemFileHandle,
    name: string,
    from: OpfsDevice,
    to: OpfsDevice,
  ) {
    this.#folder = folder;
    this.#file = file;
    this.#name = name;
    this.#from = from;
    this.#to = to;
  }

  static async start(folder: FileSystemDirectoryHandle, file: FileSystemFileHandle, name: string): Promise<FileCopy> {
    const from = new OpfsDevice(await requireSyncHandle(file));
    try {
      const to = await requireSyncHandle(await folder.getFileHandle(name, { create: true }));
      return new FileCopy(folder, file, name, from, new OpfsDevice(to));
    } catch (error) {
      from.close();
      await folder.removeEntry(name).catch(() => {});
      throw error;
    }
  }

  async copyRest(): Promise<void> {
    const { size } = this.#from;
    const yieldIfDue = yieldToEventLoop();
    this.#to.truncate(size);
    for (let at = Math.floor(size / CHUNK) * CHUNK; at > 0; at -= CHUNK) {
      await yieldIfDue();
      this.#copy(at);
    }
    this.#to.flush();
  }

  async finish(): Promise<void> {
    this.#copy(0);
    this.#to.flush();
    this.#close();
    await this.#folder.removeEntry(this.#file.name);
  }

  async cancel(): Promise<void> {
    this.#close();
    await this.#folder.removeEntry(this.#name);
  }

  #copy(at: number): void {
    const bytes = new Uint8Array(Math.min(CHUNK, this.#from.size - at));
    this.#from.read([{ at, bytes }]);
    this.#to.write([{ at, bytes }]);
  }

  #close(): void {
    this.#from.close();
    this.#to.close();
  }
}

async function requireSyncHandle(file: FileSystemFileHandle): Promise<SyncHandle> {
  const handle = await openSyncHandle(file);
  if (!handle) throw new DOMException('The file is not in OPFS.', 'InvalidStateError');
  return handle;
}
