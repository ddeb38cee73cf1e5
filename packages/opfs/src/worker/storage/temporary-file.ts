/**
 * Manages temporary OPFS files. Each has a Web Lock of its name, which distinguishes files in use from those left by a
 * crash.
 */

import { holdLock, type Release } from '../../protocol/web-lock.js';
import type { Move } from './folder.js';
import { prepareMove } from './move-file.js';

const TEMPORARY_NAME = /^\.tmp-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** A new, empty file that is deleted unless it is given a name. */
export class TemporaryFile {
  readonly handle: FileSystemFileHandle;
  readonly #folder: FileSystemDirectoryHandle;
  readonly #release: Release;

  private constructor(folder: FileSystemDirectoryHandle, handle: FileSystemFileHandle, release: Release) {
    this.#folder = folder;
    this.handle = handle;
    this.#release = release;
  }

  /** @throws `DOMException` as the platform does */
  static async create(folder: FileSystemDirectoryHandle): Promise<TemporaryFile> {
    const name = `.tmp-${crypto.randomUUID()}`;
    // Before the file exists, or another tab could delete it as stale.
    const release = await holdLock(name);
    try {
      return new TemporaryFile(folder, await folder.getFileHandle(name, { create: true }), release);
    } catch (error) {
      release();
      throw error;
    }
  }

  /**
   * Prepares to give the file a name, which must be free. Does all the slow work. The file is no longer temporary then.
   * Its handles must be closed.
   */
  async prepareMove(name: string): Promise<Move> {
    const move = await prepareMove(this.#folder, this.handle, name);
    const finish = async (): Promise<void> => {
      await move.finish();
      this.#release();
    };
    return { finish, cancel: () => move.cancel() };
  }

  /** Deletes the file. */
  async remove(): Promise<void> {
    try {
      await removeFile(this.#folder, this.handle.name);
    } finally {
      this.#release();
    }
  }
}

/** Deletes the temporary files whose locks are free: their page or worker has ended. */
export async function sweep(folder: FileSystemDirectoryHandle): Promise<void> {
  const names: string[] = [];
  for await (const name of folder.keys()) if (TEMPORARY_NAME.test(name)) names.push(name);
  for (const name of names) {
    const release = await holdLock(name, { ifFree: true });
    if (!release) continue;
    try {
      await removeFile(folder, name);
    } finally {
      release();
    }
  }
}

/** Deletes a file. Ignores one that is gone. One that a dying tab still has open is deleted later. */
async function removeFile(folder: FileSystemDirectoryHandle, name: string): Promise<void> {
  try {
    await folder.removeEntry(name);
  } catch (error) {
    const known = error instanceof DOMException && ['NotFoundError', 'NoModificationAllowedError'].includes(error.name);
    if (!known) throw error;
  }
}
