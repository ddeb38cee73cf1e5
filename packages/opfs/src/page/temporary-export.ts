/** The page's handle of a temporary export: a file in OPFS that the worker has filled. */
import type { Connection } from './connection.js';

/** A temporary file in OPFS with an image's bytes, for a download by an object URL. */
export interface TemporaryExport {
  /** The file; it can be read until `remove`, or until the store is closed. */
  readonly file: File;
  /** Deletes the file. A second call does nothing. */
  remove(): Promise<void>;
}

/** The handle of a temporary export, identified by the number of the call that made it. */
export function temporaryExportOf(connection: Connection, id: number, file: File): TemporaryExport {
  let removing: Promise<void> | null = null;
  const remove = (): Promise<void> => {
    // A dead worker holds no lock on the file: the next temporary export deletes it.
    removing ??= connection.alive ? connection.call((worker) => worker.removeTemporaryExport(id)) : Promise.resolve();
    return removing;
  };
  return { file, remove };
}
