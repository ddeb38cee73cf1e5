/** Keeps a store's files in memory, for where the platform refuses storage. They are lost when the worker ends. */
import { type BlockDevice, type ByteSource, bufferDevice } from 'qcow2';
import type { Draft, Folder, FolderFile, Move, WritableFile } from './folder.js';
import { noSpace } from './storage-error.js';

interface MemoryFile {
  readonly device: BlockDevice;
  lastModified: number;
}

/** The images in one worker's memory. */
export class MemoryFolder implements Folder {
  readonly kind = 'memory';
  /** Every instance is a different folder, whatever its name. */
  readonly scope: string = `memory ${crypto.randomUUID()}`;
  readonly #files = new Map<string, MemoryFile>();

  async names(): Promise<string[]> {
    return [...this.#files.keys()].sort();
  }

  async file(name: string): Promise<FolderFile | null> {
    const file = this.#files.get(name);
    if (!file) return null;
    const { device, lastModified } = file;
    const { size } = device;
    const source: ByteSource = { size, read: (transfers, signal) => device.read(transfers, signal) };
    return { size, lastModified, source, open: async () => source };
  }

  async has(name: string): Promise<boolean> {
    return this.#files.has(name);
  }

  async writable(name: string): Promise<WritableFile | null> {
    const file = this.#files.get(name);
    if (!file) return null;
    const close = (): void => {
      file.lastModified = Date.now();
    };
    return { device: file.device, close };
  }

  async draft(): Promise<Draft> {
    const device = memoryDevice();
    const finish = async (name: string): Promise<void> => {
      this.#files.set(name, { device, lastModified: Date.now() });
    };
    const prepareMove = async (name: string): Promise<Move> => ({ finish: () => finish(name), cancel: async () => {} });
    const discard = async (): Promise<void> => device.close?.();
    return { device, flushAhead: () => {}, prepareMove, discard };
  }

  /** A file handle never refers to a file in memory. */
  async imageOf(): Promise<null> {
    return null;
  }

  async prepareRename(from: string, to: string): Promise<Move> {
    const finish = async (): Promise<void> => {
      this.#files.set(to, this.#files.get(from)!);
      this.#files.delete(from);
    };
    return { finish, cancel: async () => {} };
  }

  async remove(name: string): Promise<void> {
    await this.#files.get(name)?.device.close?.();
    this.#files.delete(name);
  }
}

/** A buffer that throws the store's error when memory runs out. */
function memoryDevice(): BlockDevice {
  const device = bufferDevice();
  return {
    get size() {
      return device.size;
    },
    read: (transfers, signal) => device.read(transfers, signal),
    write(transfers) {
      try {
        return device.write(transfers);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        const end = transfers.reduce((length, { at, bytes }) => Math.max(length, at + bytes.length), 0);
        throw noSpace(end, null, error);
      }
    },
    truncate: (size) => device.truncate(size),
    flush: () => device.flush(),
    close: () => device.close?.(),
  };
}
