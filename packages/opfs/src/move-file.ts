/** Owns the renaming of OPFS files, also where the platform has no `move`. */
import { turns } from 'qcow2/internal';
import { OpfsDevice } from './device.js';
import { openSyncHandle, type SyncHandle } from './sync-handle.js';

/** What is copied at once. Bytes. */
const CHUNK = 1024 * 1024;

/**
 * Gives a file of a folder another name, which nobody has.
 *
 * @throws {@link Qcow2Error} `no-space` where the file has to be copied; `DOMException` as the platform does
 */
export async function moveFile(
  folder: FileSystemDirectoryHandle,
  file: FileSystemFileHandle,
  name: string,
): Promise<void> {
  const { move } = file as { move?: (name: string) => Promise<void> };
  if (move) return move.call(file, name);
  await copyFile(folder, file, name);
  await folder.removeEntry(file.name);
}

async function copyFile(folder: FileSystemDirectoryHandle, file: FileSystemFileHandle, name: string): Promise<void> {
  const from = new OpfsDevice(await requireSyncHandle(file));
  try {
    const to = new OpfsDevice(await requireSyncHandle(await folder.getFileHandle(name, { create: true })));
    try {
      await copyDevice(from, to);
    } finally {
      to.close();
    }
  } catch (error) {
    await folder.removeEntry(name);
    throw error;
  } finally {
    from.close();
  }
}

/** The first chunk goes last: what a crash leaves has no header, and is no image. */
async function copyDevice(from: OpfsDevice, to: OpfsDevice): Promise<void> {
  const { size } = from;
  const turn = turns();
  const buffer = new Uint8Array(Math.min(CHUNK, size));
  to.truncate(size);
  for (let at = Math.floor(size / CHUNK) * CHUNK; at >= 0; at -= CHUNK) {
    await turn();
    if (at === 0) to.flush();
    const bytes = buffer.subarray(0, Math.min(CHUNK, size - at));
    from.read([{ at, bytes }]);
    to.write([{ at, bytes }]);
  }
  to.flush();
}

async function requireSyncHandle(file: FileSystemFileHandle): Promise<SyncHandle> {
  const handle = await openSyncHandle(file);
  if (!handle) throw new DOMException('The file does not lie in OPFS.', 'InvalidStateError');
  return handle;
}
