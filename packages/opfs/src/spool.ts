/** Owns the page's handle of a spool, a temporary file in OPFS that the worker has filled. */
import type { CallOptions, Connection, RemoteWorker } from './connection.js';
import type { Answer } from './protocol.js';

/** A temporary file in OPFS with an image's bytes, for a download by an object URL. */
export interface Spool {
  /** The file; it can be read until `remove`, or until the store is closed. */
  readonly file: File;
  /** Deletes the file. A second call does nothing. */
  remove(): Promise<void>;
}

/** Has the worker make a spool, which goes by the number of that call. */
export async function makeSpool(
  connection: Connection,
  send: (worker: RemoteWorker, id: number) => Answer<File>,
  options: CallOptions,
): Promise<Spool> {
  const id = connection.reserve();
  const file = await connection.call((worker) => send(worker, id), options, id);
  let removing: Promise<void> | null = null;
  const remove = (): Promise<void> => {
    // With its worker the spool has lost its lock, and the next one sweeps it.
    removing ??= connection.alive ? connection.call((worker) => worker.removeSpool(id)) : Promise.resolve();
    return removing;
  };
  return { file, remove };
}
