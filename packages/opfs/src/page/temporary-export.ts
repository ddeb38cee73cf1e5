/** Owns the page's handle of a spool, a temporary file in OPFS that the worker has filled. */
import type { Connection } from './connection.js';

/** A temporary file in OPFS with an image's bytes, for a download by an object URL. */
export interface Spool {
  /** The file; it can be read until `remove`, or until the store is closed. */
  readonly file: File;
  /** Deletes the file. A second call does nothing. */
  remove(): Promise<void>;
}

/** The handle of a spool, which goes by the number of the call that made it. */
export function spoolOf(connection: Connection, id: number, file: File): Spool {
  let removing: Promise<void> | null = null;
  const remove = (): Promise<void> => {
    // With its worker the spool has lost its lock, and the next one sweeps it.
    removing ??= connection.alive ? connection.call((worker) => worker.removeSpool(id)) : Promise.resolve();
    return removing;
  };
  return { file, remove };
}
