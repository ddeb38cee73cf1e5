/** Reads an external data file, and adds to its errors that they are about that file. */

import type { ByteSource, Done, Transfer } from '../../api/device.js';
import type { ImageReference } from '../../api/openable.js';
import { isQcow2Error, Qcow2Error } from '../../errors.js';
import { asPromise } from '../async/done.js';

/** The name of a data file, and its depth in the chain. */
export type DataFileName = Pick<ImageReference, 'name' | 'depth'>;

/** A source that is an external data file. */
export class DataFileSource implements ByteSource {
  readonly #source: ByteSource;
  readonly #file: DataFileName;

  constructor(source: ByteSource, file: DataFileName) {
    this.#source = source;
    this.#file = file;
  }

  get size(): number {
    return this.#source.size;
  }

  read(transfers: readonly Transfer[], signal?: AbortSignal): Done {
    const fail = (error: unknown): never => {
      throw withinDataFile(error, this.#file, signal);
    };
    try {
      return asPromise(this.#source.read(transfers, signal))?.catch(fail);
    } catch (error) {
      return fail(error);
    }
  }
}

/** Adds the data file's name and depth to an error of its source or device. The signal's reason stays as it is. */
export function withinDataFile(error: unknown, { name, depth }: DataFileName, signal?: AbortSignal): unknown {
  if (!isQcow2Error(error) || (signal?.aborted && error === signal.reason)) return error;
  const details = { ...error.details, what: 'data file', name, depth };
  return new Qcow2Error(error.code, `Data file "${name}": ${error.message}`, details, { cause: error });
}
