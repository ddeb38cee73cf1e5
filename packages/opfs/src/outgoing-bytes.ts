/** Owns the bytes of a write on their way to the worker: what is copied, what is handed over, and what both sides share. */
import type { Transfer } from 'qcow2';
import { type BufferPool, roundedLength } from './buffer-pool.js';
import type { WireBytes } from './protocol.js';

/** How the bytes of a write go to the worker. */
export interface WriteOptions {
  /**
   * Hand the buffers over instead of copying what is written: they are detached, and with them every other view of theirs. For
   * large writes of bytes that nobody needs afterwards.
   */
  transfer?: boolean | undefined;
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
 * Readies a write, with everything copied that must be: copying into a buffer that is transferred costs a fraction of what
 * structured cloning does.
 *
 * @throws TypeError when there are no bytes
 */
export function outgoing(
  transfers: readonly Transfer[],
  { transfer = false }: WriteOptions,
  pool: BufferPool,
): OutgoingBytes {
  for (const { bytes } of transfers) {
    if (!(bytes instanceof Uint8Array)) throw new TypeError('write() takes a Uint8Array.');
  }
  const isCopied = ({ bytes }: Transfer): boolean => !crossesShared(bytes) && !(transfer && canMove(bytes.buffer));
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
    if (bytes.buffer instanceof ArrayBuffer) moved.add(bytes.buffer);
    return { at, length: bytes.length, bytes };
  });
  return { pieces, packed, moved: [...moved] };
}

/**
 * Whether the bytes lie in memory that this page shares with its worker. Only an isolated page can send such memory, and OPFS
 * takes none that can grow.
 */
export function crossesShared({ buffer }: Uint8Array): boolean {
  if (globalThis.crossOriginIsolated !== true || !(buffer instanceof SharedArrayBuffer)) return false;
  return (buffer as { growable?: boolean }).growable !== true;
}

/** OPFS takes no memory that can be resized. */
function canMove(buffer: ArrayBufferLike): buffer is ArrayBuffer {
  return buffer instanceof ArrayBuffer && (buffer as { resizable?: boolean }).resizable !== true;
}
