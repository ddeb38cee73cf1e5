/** Owns the type of an OPFS sync access handle and how one is opened: the `dom` library does not know either. */

/** The method of a file handle that opens one; without a mode nobody else may have the file open. */
export type CreateHandle = (options?: { mode: 'read-only' | 'readwrite-unsafe' }) => Promise<SyncHandle>;

/** A FileSystemSyncAccessHandle: exclusive, synchronous, in dedicated workers only. Offsets and lengths are bytes. */
export interface SyncHandle {
  read(into: Uint8Array, options: { at: number }): number;
  /** Answers how many bytes were written; browsers differ in what they say when the quota is spent. */
  write(bytes: Uint8Array, options: { at: number }): number;
  truncate(size: number): void;
  getSize(): number;
  flush(): void;
  close(): void;
}

/**
 * The sync handle of a file, or null when the file does not lie in OPFS.
 *
 * @throws `DOMException` `NoModificationAllowedError` when the file is in use
 */
export async function openSyncHandle(file: FileSystemFileHandle): Promise<SyncHandle | null> {
  const { createSyncAccessHandle } = file as { createSyncAccessHandle?: CreateHandle };
  if (!createSyncAccessHandle) return null;
  try {
    return await createSyncAccessHandle.call(file);
  } catch (error) {
    if (error instanceof DOMException && error.name === 'InvalidStateError') return null;
    throw error;
  }
}

/**
 * A sync handle for reading alone, of which a file can have many at once; null where the platform has only handles that
 * exclude each other, as Firefox and Safari do, and where somebody has one of those.
 */
export async function openSharedHandle(file: FileSystemFileHandle): Promise<SyncHandle | null> {
  try {
    return await openInMode(file, 'read-only');
  } catch (error) {
    if (error instanceof DOMException && error.name === 'NoModificationAllowedError') return null;
    throw error;
  }
}

/**
 * A sync handle for reading and writing that others of its kind may be open beside, in whose stead the caller keeps
 * others away; null where the platform has only handles that exclude each other.
 *
 * @throws `DOMException` `NoModificationAllowedError` when the file is in use in another way
 */
export function openUnlockedHandle(file: FileSystemFileHandle): Promise<SyncHandle | null> {
  return openInMode(file, 'readwrite-unsafe');
}

async function openInMode(
  file: FileSystemFileHandle,
  mode: 'read-only' | 'readwrite-unsafe',
): Promise<SyncHandle | null> {
  const { createSyncAccessHandle } = file as { createSyncAccessHandle?: CreateHandle };
  // A platform that knows no modes would ignore the wish, and shut everybody out.
  const { FileSystemSyncAccessHandle: type } = globalThis as { FileSystemSyncAccessHandle?: { prototype: object } };
  if (!createSyncAccessHandle || !type || !('mode' in type.prototype)) return null;
  return createSyncAccessHandle.call(file, { mode });
}
