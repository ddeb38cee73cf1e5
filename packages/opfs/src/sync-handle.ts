/** Owns the type of an OPFS sync access handle and how one is opened: the `dom` library does not know either. */

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
  const { createSyncAccessHandle } = file as { createSyncAccessHandle?: () => Promise<SyncHandle> };
  if (!createSyncAccessHandle) return null;
  try {
    return await createSyncAccessHandle.call(file);
  } catch (error) {
    if (error instanceof DOMException && error.name === 'InvalidStateError') return null;
    throw error;
  }
}
