/** Keeps a store's files in OPFS. */
import { type ByteSource, blobSource, Qcow2Error } from 'qcow2';
import { isImageName } from '../../protocol/image-name.js';
import { Flusher } from './flusher.js';
import type { Draft, Folder, FolderFile, Move, WritableFile } from './folder.js';
import { prepareMove } from './move-file.js';
import { OpfsDevice } from './opfs-device.js';
import type { PrivateFolder } from './private-folder.js';
import { storageError } from './storage-error.js';
import { openSharedHandle, openSyncHandle, openUnlockedHandle, type SyncHandle } from './sync-handle.js';
import { TemporaryFile } from './temporary-file.js';

/** Timeout and interval of attempts to open a file that is in use. Milliseconds. */
const HANDLE_TIMEOUT_MS = 2000;
const RETRY_EVERY = 50;

/** The images of a folder in OPFS. */
export class OpfsFolder implements Folder {
  readonly kind = 'opfs';
  readonly scope: string;
  readonly #folder: PrivateFolder;

  constructor(folder: PrivateFolder) {
    this.#folder = folder;
    this.scope = `folder ${folder.name}`;
  }

  async names(): Promise<string[]> {
    const directory = await this.#folder.open();
    const names = new Set<string>();
    for await (const [name, { kind }] of directory.entries()) {
      if (kind === 'file' && isImageName(name)) names.add(name.normalize('NFC'));
    }
    return [...names].sort();
  }

  async file(name: string): Promise<FolderFile | null> {
    const directory = await this.#folder.open();
    try {
      const handle = await fileOf(directory, name);
      const file = await handle.getFile();
      const { size, lastModified } = file;
      return { size, lastModified, source: file, open: () => openForReading(handle, file) };
    } catch (error) {
      if (isMissing(error)) return null;
      throw storageError(error, 0, null);
    }
  }

  async has(name: string): Promise<boolean> {
    const directory = await this.#folder.open();
    try {
      await fileOf(directory, name);
      return true;
    } catch (error) {
      if (!isMissing(error)) throw storageError(error, 0, null);
      // A folder, which Firefox would replace by a file.
      return (error as DOMException).name === 'TypeMismatchError';
    }
  }

  async writable(name: string): Promise<WritableFile | null> {
    const directory = await this.#folder.open();
    // Deleting stale temporary files frees space.
    await this.#folder.sweepOnce();
    try {
      const device = new OpfsDevice(await handleWithRetries(await fileOf(directory, name)));
      return { device, close: () => device.close() };
    } catch (error) {
      if (isMissing(error)) return null;
      throw storageError(error, 0, null);
    }
  }

  async draft(): Promise<Draft> {
    const directory = await this.#folder.open();
    // Deleting stale temporary files frees space.
    await this.#folder.sweepOnce();
    const file = await guard(TemporaryFile.create(directory));
    try {
      // The lock of its name excludes others.
      const unlocked = await openUnlockedHandle(file.handle);
      const device = new OpfsDevice(unlocked ?? (await requireHandle(file.handle)));
      return new OpfsDraft(file, device, unlocked !== null);
    } catch (error) {
      await file.remove();
      throw storageError(error, 0, null);
    }
  }

  async imageOf(handle: FileSystemFileHandle): Promise<string | null> {
    // A folder that does not exist, or is refused, has no files.
    const path = await this.#folder.existing().then(
      (directory) => directory.resolve(handle),
      () => null,
    );
    return path !== null && path.length === 1 && isImageName(path[0]!) ? path[0]!.normalize('NFC') : null;
  }

  async prepareRename(from: string, to: string): Promise<Move> {
    const directory = await this.#folder.open();
    return guardedMove(fileOf(directory, from).then((handle) => prepareMove(directory, handle, to)));
  }

  async remove(name: string): Promise<void> {
    const directory = await this.#folder.open();
    await guard(fileOf(directory, name).then((handle) => directory.removeEntry(handle.name)));
  }
}

class OpfsDraft implements Draft {
  readonly device: OpfsDevice;
  readonly #file: TemporaryFile;
  /** Undefined until it is needed, null where none can be started. */
  #flusher: Flusher | null | undefined;

  /** @param shared whether the device's handle allows other handles */
  constructor(file: TemporaryFile, device: OpfsDevice, shared: boolean) {
    this.#file = file;
    this.device = device;
    this.#flusher = shared ? undefined : null;
  }

  flushAhead(): void {
    if (this.#flusher === undefined) this.#flusher = Flusher.start(this.#file.handle);
    this.#flusher?.flush();
  }

  async prepareMove(name: string): Promise<Move> {
    await this.#close();
    return guardedMove(this.#file.prepareMove(name));
  }

  async discard(): Promise<void> {
    await this.#close();
    await guard(this.#file.remove());
  }

  async #close(): Promise<void> {
    this.device.close();
    await this.#flusher?.close();
  }
}

/**
 * The file with a normalised name: the one of exactly that name, else one that other code created under another form of
 * it, as names from macOS are decomposed. Throws as `getFileHandle` does.
 */
async function fileOf(directory: FileSystemDirectoryHandle, name: string): Promise<FileSystemFileHandle> {
  try {
    return await directory.getFileHandle(name);
  } catch (error) {
    // Most names have only one form, and need no search.
    if (!isMissing(error) || name.normalize('NFD') === name) throw error;
    for await (const [stored, handle] of directory.entries()) {
      if (handle.kind === 'file' && stored.normalize('NFC') === name) return handle as FileSystemFileHandle;
    }
    throw error;
  }
}

/** There is nothing of that name, or it is a folder. */
function isMissing(error: unknown): boolean {
  return error instanceof DOMException && ['NotFoundError', 'TypeMismatchError'].includes(error.name);
}

async function requireHandle(file: FileSystemFileHandle): Promise<SyncHandle> {
  const handle = await openSyncHandle(file);
  if (!handle) throw new Qcow2Error('unavailable', 'This browser has no synchronous access to its OPFS files.');
  return handle;
}

/** Retries for a while, after its Web Lock was acquired: the handle of a crashed tab can outlive its locks. */
async function handleWithRetries(file: FileSystemFileHandle): Promise<SyncHandle> {
  const until = performance.now() + HANDLE_TIMEOUT_MS;
  for (;;) {
    try {
      return await requireHandle(file);
    } catch (error) {
      const inUse = error instanceof DOMException && error.name === 'NoModificationAllowedError';
      if (!inUse || performance.now() >= until) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_EVERY));
    }
  }
}

async function guardedMove(prepared: Promise<Move>): Promise<Move> {
  const move = await guard(prepared);
  return { finish: () => guard(move.finish()), cancel: () => guard(move.cancel()) };
}

async function guard<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw storageError(error, 0, null);
  }
}

/**
 * A sync handle is synchronous and fills a reusable buffer; a File is asynchronous and allocates a buffer for every
 * read.
 */
async function openForReading(handle: FileSystemFileHandle, file: File): Promise<ByteSource> {
  const shared = await openSharedHandle(handle);
  return shared ? new OpfsDevice(shared) : blobSource(file);
}
