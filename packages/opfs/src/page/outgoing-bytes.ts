/** Prepares the bytes of a write for the worker: copied, transferred, or in shared memory. */
import type { Transfer } from 'qcow2';
import { type BufferPool, roundedLength } from '../protocol/buffer-pool.js';
import type { WireBytes } from '../protocol/messages.js';
import { isArrayBuffer, isOf } from '../protocol/shape.js';

/** The largest buffer that is transferred: browsers refuse about 2 GiB. Bytes. */
const MAX_MOVED_BYTES = 1024 * 1024 * 1024;

/** Options of a write. */
export interface WriteOptions {
  /**
   * Transfer the buffers instead of copying the bytes: they are detached before the call returns, and so is every other
   * view of them. For large writes of bytes that are not needed afterwards. Resizable buffers, and those of more than 1
   * GiB, are copied. Memory that cannot be detached, such as WebAssembly's, throws TypeError.
   */
  transfer?: boolean | undefined;
}

/** Bytes to write, and their length when the write was called. */
export interface OutgoingPiece extends Transfer {
  readonly length: number;
}

/** A write that is ready to be sent. */
export interface OutgoingBytes {
  readonly pieces: WireBytes[];
  /** The copied bytes, one piece after the other; null when there are none. */
  readonly packed: ArrayBuffer | null;
  /** The buffers to transfer with the request. */
  readonly moved: ArrayBuffer[];
}

/**
 * Detaches the memory of the pieces where that is possible, and returns pieces over it. The pieces are already
 * validated.
 *
 * @throws TypeError for memory that cannot be detached, such as WebAssembly's; buffers before it in the batch are
 *   detached then
 */
export function detachPieces<Piece extends OutgoingPiece>(pieces: readonly Piece[]): Piece[] {
  const detachedBuffers = new Map<ArrayBufferLike, ArrayBuffer>();
  // A detached view has a `byteOffset` of 0.
  const offsets = pieces.map(({ bytes }) => bytes.byteOffset);
  return pieces.map((piece, index) => {
    const { buffer } = piece.bytes;
    if (isSharedMemory(piece.bytes) || !canMove(buffer)) return piece;
    const own = detachedBuffers.get(buffer) ?? moveBuffer(buffer);
    detachedBuffers.set(buffer, own);
    return { ...piece, bytes: new Uint8Array(own, offsets[index], piece.length) };
  });
}

/** Moves the memory of a buffer to a new one. The old buffer is detached. */
function moveBuffer(buffer: ArrayBuffer): ArrayBuffer {
  try {
    return structuredClone(buffer, { transfer: [buffer] });
  } catch (cause) {
    throw new TypeError('A buffer cannot be transferred: its memory cannot be detached. Write it without `transfer`.', {
      cause,
    });
  }
}

/**
 * Prepares a write: copies into one buffer, since copying into a transferred buffer costs a fraction of structured
 * cloning. The transfers are already validated, and fit one message.
 */
export function outgoing(
  transfers: readonly Transfer[],
  { transfer = false }: WriteOptions,
  pool: BufferPool,
): OutgoingBytes {
  const isCopied = ({ bytes }: Transfer): boolean => isCopiedIntoMessage(bytes, transfer);
  const length = transfers.filter(isCopied).reduce((sum, { bytes }) => sum + bytes.length, 0);
  const packed = length > 0 ? (pool.take(length) ?? new ArrayBuffer(roundedLength(length))) : null;
  const moved = new Set<ArrayBuffer>(packed ? [packed] : []);
  let to = 0;
  const pieces = transfers.map((piece): WireBytes => {
    const { at, bytes } = piece;
    if (isCopied(piece)) {
      if (packed) new Uint8Array(packed, to, bytes.length).set(bytes);
      to += bytes.length;
      return { at, length: bytes.length };
    }
    if (isArrayBuffer(bytes.buffer)) moved.add(bytes.buffer);
    return { at, length: bytes.length, bytes };
  });
  return { pieces, packed, moved: [...moved] };
}

/**
 * True if the bytes are in memory that page and worker can share. Only a cross-origin isolated page can send such
 * memory, and OPFS does not accept growable memory.
 */
export function isSharedMemory({ buffer }: Uint8Array): boolean {
  if (globalThis.crossOriginIsolated !== true || !isOf(buffer, 'SharedArrayBuffer')) return false;
  return (buffer as { growable?: boolean }).growable !== true;
}

/** True if bytes are copied into the message of a write, and not shared or transferred. */
function isCopiedIntoMessage(bytes: Uint8Array, transfer: boolean | undefined): boolean {
  return !isSharedMemory(bytes) && !(transfer && canMove(bytes.buffer));
}

/** OPFS does not accept resizable memory. */
function canMove(buffer: ArrayBufferLike): buffer is ArrayBuffer {
  if (!isArrayBuffer(buffer) || buffer.byteLength > MAX_MOVED_BYTES) return false;
  return (buffer as { resizable?: boolean }).resizable !== true;
}
