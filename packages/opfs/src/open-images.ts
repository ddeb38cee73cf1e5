/** Owns the images that are open in the worker, by the number of the call that opened each. */
import { Qcow2Error, type Qcow2Image } from 'qcow2';
import { roundedLength } from './buffer-pool.js';
import type { OpenImage } from './library.js';
import type { ImageState, WirePiece } from './protocol.js';

/** The images of one worker. */
export class OpenImages {
  readonly #images = new Map<number, OpenImage>();

  /** Keeps an image; what the page is told of it. */
  add(id: number, open: OpenImage): ImageState {
    this.#images.set(id, open);
    const { size, info, snapshots, bitmaps } = open.image;
    return { size, info, snapshots, bitmaps };
  }

  /** @throws {@link Qcow2Error} `closed` when it is not open any more */
  get(id: number): Qcow2Image {
    const open = this.#images.get(id);
    if (!open) throw new Qcow2Error('closed', 'The image was closed.');
    return open.image;
  }

  /** Hands out an image to be closed: nobody gets it any more. Undefined when it is gone. */
  take(id: number): OpenImage | undefined {
    const open = this.#images.get(id);
    this.#images.delete(id);
    return open;
  }

  /** Closes every image, whatever comes of it. */
  async closeAll(): Promise<void> {
    const images = [...this.#images.values()];
    this.#images.clear();
    await Promise.allSettled(images.map((image) => image.close()));
  }
}

/**
 * Fills the pieces of a request. Those without shared memory of their own lie one after the other in the answer, which is
 * `spare` where there is one; null when there are none.
 *
 * @throws what reading throws, once every piece is at rest
 */
export async function readPieces(
  disk: Qcow2Image,
  pieces: readonly WirePiece[],
  spare: ArrayBuffer | null,
  signal: AbortSignal,
): Promise<ArrayBuffer | null> {
  const length = pieces.reduce((sum, piece) => sum + (piece.shared ? 0 : piece.length), 0);
  const buffer = length > 0 ? (spare ?? new ArrayBuffer(roundedLength(length))) : null;
  let at = 0;
  const reads = pieces.map((piece) => {
    if (piece.shared) return disk.read(piece.at, piece.shared, { signal });
    const into = buffer ? new Uint8Array(buffer, at, piece.length) : new Uint8Array(0);
    at += piece.length;
    return disk.read(piece.at, into, { signal });
  });
  // All must be at rest, also when one has failed: shared memory is the caller's again with the answer.
  const failed = (await Promise.allSettled(reads)).find((read) => read.status === 'rejected');
  if (failed) throw failed.reason;
  return buffer;
}
