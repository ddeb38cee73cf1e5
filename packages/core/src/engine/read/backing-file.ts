/** Reads the backing file of an image, and adds to its errors which file of the chain they are about. */

import type { Done, Transfer } from '../../api/device.js';
import type { ImageReference } from '../../api/openable.js';
import { isQcow2Error, Qcow2Error } from '../../errors.js';
import type { Backing, Layer } from '../layer/layer.js';
import { readLayer } from './execute.js';

/** A backing file that was opened. */
export class BackingFile implements Backing {
  readonly layer: Layer;
  readonly #reference: ImageReference;

  /** The layer of the file, and the reference to it in the overlay. */
  constructor(layer: Layer, reference: ImageReference) {
    this.layer = layer;
    this.#reference = reference;
  }

  read(transfers: readonly Transfer[], signal?: AbortSignal): Done {
    const fail = (error: unknown): never => {
      throw withinBacking(error, this.#reference, signal);
    };
    try {
      return readFile(this.layer, transfers, signal)?.catch(fail);
    } catch (error) {
      return fail(error);
    }
  }

  async *within<T>(items: AsyncIterable<T>, signal?: AbortSignal): AsyncGenerator<T, void, undefined> {
    try {
      yield* items;
    } catch (error) {
      throw withinBacking(error, this.#reference, signal);
    }
  }
}

function readFile(layer: Layer, transfers: readonly Transfer[], signal: AbortSignal | undefined): Done {
  if (layer.kind === 'qcow2') return readLayer(layer, transfers, signal);
  // A raw file: guest offsets are file offsets.
  return layer.source.read(transfers, signal);
}

/**
 * Adds the backing file's name to an error from inside it. An error that has a `layer` already, an error about a
 * reference that was refused, and the signal's reason stay as they are.
 */
export function withinBacking(
  error: unknown,
  { name, depth }: ImageReference,
  signal: AbortSignal | undefined,
): unknown {
  if (!isQcow2Error(error) || 'layer' in error.details || error.code === 'reference-refused') return error;
  if (signal?.aborted && error === signal.reason) return error;
  const message = `Backing file "${name}": ${error.message}`;
  return new Qcow2Error(error.code, message, { ...error.details, layer: depth }, { cause: error });
}
