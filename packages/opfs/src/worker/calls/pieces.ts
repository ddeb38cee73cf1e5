/** Owns the pieces of a request: how the bytes that cross become reads and writes of an open image. */
import type { Qcow2Image } from 'qcow2';
import { roundedLength } from '../../protocol/buffer-pool.js';
import type { WireBytes, WirePiece } from '../../protocol/messages.js';

/**
 * Fills the pieces of a request. Those without shared memory of their own lie one after the other in the answer, which
 * is `spare` where there is one; null when there are none.
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
  await allAtRest(reads);
  return buffer;
}

/**
 * Writes the pieces of a request, the later over the earlier where they overlap. Those without bytes of their own lie
 * one after the other in `packed`.
 *
 * @throws what the first that failed threw, once every piece is at rest
 */
export async function writePieces(
  disk: Qcow2Image,
  pieces: readonly WireBytes[],
  packed: ArrayBuffer | null,
): Promise<void> {
  let from = 0;
  const writes = pieces.map(({ at, length, bytes }) => {
    if (bytes) return disk.write(at, bytes);
    const own = new Uint8Array(packed ?? new ArrayBuffer(0), from, length);
    from += length;
    return disk.write(at, own);
  });
  await allAtRest(writes);
}

/** Waits for all, also when one has failed: shared memory is the caller's again with the answer. */
async function allAtRest(work: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(work)).find((done) => done.status === 'rejected');
  if (failed) throw failed.reason;
}
