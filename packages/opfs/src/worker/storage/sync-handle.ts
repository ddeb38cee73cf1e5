/** Types and opens OPFS sync access handles, which TypeScript's `dom` library does not declare. */

/** The method of a file handle that opens one; without a mode the handle is exclusive. */
export type CreateHandle = (options?: { mode: 'read-only' | 'readwrite-unsafe' }) => Promise<SyncHandle>;

/** A FileSystemSyncAccessHandle: exclusive, synchronous, in dedicated workers only. Offsets and lengths are bytes. */
export interface SyncHandle {
  read(into: Uint8Array, options: { at: number }): number;
  /** Returns the number of bytes written. Browsers return different values when the quota is used up. */
  write(bytes: Uint8Array, options: { at: number }): number;
  truncate(size: number): void;
  getSize(): number;
  flush(): void;
  close(): void;
}

/**
 * The sync handle of a file, or null when the file is not in OPFS.
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
 * A sync handle for reading only, of which a file can have many at once. Null where the platform has only exclusive
 * handles, as Firefox and Safari do, and where an exclusive one is open.
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
 * A sync handle for reading and writing that allows others of its kind: the caller must do the locking. Null where the
 * platform has only exclusive handles.
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
  // A platform without modes would ignore the option, and open an exclusive handle.
  const { FileSystemSyncAccessHandle: type } = globalThis as { FileSystemSyncAccessHandle?: { prototype: object } };
  if (!createSyncAccessHandle || !type || !('mode' in type.prototype)) return null;
  return createSyncAccessHandle.call(file, { mode });
}
