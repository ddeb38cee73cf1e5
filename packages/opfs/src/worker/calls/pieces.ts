/** Turns the pieces of a request into reads and writes of an open image. */
import type { Qcow2Image, Transfer } from 'qcow2';
import { roundedLength } from '../../protocol/buffer-pool.js';
import type { WireBytes, WirePiece } from '../../protocol/messages.js';

/**
 * Fills the pieces of a request. Those without shared memory follow each other in the returned buffer, which is `spare`
 * if given; null when there are none.
 *
 * @throws what reading throws, once every piece has settled
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
  const transfers = pieces.map((piece): Transfer => {
    if (piece.shared) return { at: piece.at, bytes: piece.shared };
    const into = buffer ? new Uint8Array(buffer, at, piece.length) : new Uint8Array(0);
    at += piece.length;
    return { at: piece.at, bytes: into };
  });
  await disk.readBatch(transfers, { signal });
  return buffer;
}

/**
 * Writes the pieces of a request, later ones over earlier ones where they overlap. Those without bytes of their own
 * follow each other in `packed`.
 *
 * @throws the error of the first that failed, once every piece has settled
 */
export async function writePieces(
  disk: Qcow2Image,
  pieces: readonly WireBytes[],
  packed: ArrayBuffer | null,
): Promise<void> {
  let from = 0;
  const transfers = pieces.map(({ at, length, bytes }): Transfer => {
    if (bytes) return { at, bytes };
    const own = new Uint8Array(packed ?? new ArrayBuffer(0), from, length);
    from += length;
    return { at, bytes: own };
  });
  await disk.writeBatch(transfers);
}
