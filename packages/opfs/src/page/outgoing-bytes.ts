/**
 * Owns the bytes of a write on their way to the worker: what is copied, what is handed over, and what both sides share.
 */
import type { Transfer } from 'qcow2';
import { type BufferPool, roundedLength } from '../protocol/buffer-pool.js';
import type { WireBytes } from '../protocol/messages.js';
import { isArrayBuffer, isOf } from '../protocol/shape.js';

/** The largest buffer that is handed over: browsers refuse about 2 GiB. Bytes. */
const MAX_MOVED_BYTES = 1024 * 1024 * 1024;

/** How the bytes of a write go to the worker. */
export interface WriteOptions {
  /**
   * Hand the buffers over instead of copying what is written: they are detached before the call returns, and with them
   * every other view of theirs. For large writes of bytes that are not needed afterwards. Buffers that can be resized,
   * and those of more than 1 GiB, are copied. Memory that cannot be detached, as WebAssembly's, is a TypeError.
   */
  transfer?: boolean | undefined;
}

/** Bytes that are to be written, and how many they were when the write was called. */
export interface OutgoingPiece extends Transfer {
  readonly length: number;
}

/** A write that is ready to be sent. */
export interface OutgoingBytes {
  readonly pieces: WireBytes[];
  /** The copies, one after the other; null when there are none. */
  readonly packed: ArrayBuffer | null;
  /** What leaves the page with the request. */
  readonly moved: ArrayBuffer[];
}

/**
 * Takes over the memory of what is written, which is detached, where that is possible. The pieces are checked.
 *
 * @throws TypeError for memory that cannot be detached, as WebAssembly's; buffers before it in the batch are detached
 *   then
 */
export function takenOver<Piece extends OutgoingPiece>(pieces: readonly Piece[]): Piece[] {
  const taken = new Map<ArrayBufferLike, ArrayBuffer>();
  // A detached view says 0.
  const offsets = pieces.map(({ bytes }) => bytes.byteOffset);
  return pieces.map((piece, index) => {
    const { buffer } = piece.bytes;
    if (crossesShared(piece.bytes) || !canMove(buffer)) return piece;
    const own = taken.get(buffer) ?? detached(buffer);
    taken.set(buffer, own);
    return { ...piece, bytes: new Uint8Array(own, offsets[index], piece.length) };
  });
}

/** The memory of a buffer, which has none from then on. */
function detached(buffer: ArrayBuffer): ArrayBuffer {
  try {
    return structuredClone(buffer, { transfer: [buffer] });
  } catch (cause) {
    throw new TypeError('A buffer cannot be handed over: its memory cannot be detached. Write it without `transfer`.', {
      cause,
    });
  }
}

/**
 * Readies a write, with everything copied that must be: copying into a buffer that is transferred costs a fraction of
 * what structured cloning does. The transfers are checked, and fit one message.
 */
export function outgoing(
  transfers: readonly Transfer[],
  { transfer = false }: WriteOptions,
  pool: BufferPool,
): OutgoingBytes {
  const isCopied = ({ bytes }: Transfer): boolean => isCarried(bytes, transfer);
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
 * Whether the bytes lie in memory that this page shares with its worker. Only an isolated page can send such memory,
 * and OPFS takes none that can grow.
 */
export function crossesShared({ buffer }: Uint8Array): boolean {
  if (globalThis.crossOriginIsolated !== true || !isOf(buffer, 'SharedArrayBuffer')) return false;
  return (buffer as { growable?: boolean }).growable !== true;
}

/** Whether bytes are copied into the message of a write, and not shared or handed over. */
function isCarried(bytes: Uint8Array, transfer: boolean | undefined): boolean {
  return !crossesShared(bytes) && !(transfer && canMove(bytes.buffer));
}

/** OPFS takes no memory that can be resized. */
function canMove(buffer: ArrayBufferLike): buffer is ArrayBuffer {
  if (!isArrayBuffer(buffer) || buffer.byteLength > MAX_MOVED_BYTES) return false;
  return (buffer as { resizable?: boolean }).resizable !== true;
}
