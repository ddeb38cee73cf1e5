/**
 * Checks the buffers that a caller hands in. Script can take their memory away while a request is under way:
 * WebAssembly's `memory.grow` and a transfer detach it, a resizable buffer can shrink. The view is empty then, and
 * copying to it does nothing.
 */
import type { Done, Transfer } from '../../api/device.js';

/** A transfer whose length stays what it was when it was asked for. */
export interface FixedTransfer extends Transfer {
  readonly length: number;
}

/** Whether a value is a Uint8Array, of whichever realm. */
export function isBytes(value: unknown): value is Uint8Array {
  return (value as Partial<Uint8Array> | null | undefined)?.[Symbol.toStringTag] === 'Uint8Array';
}

/**
 * The length of a caller's buffer.
 *
 * @throws TypeError when it is no Uint8Array, or its memory was taken away.
 */
export function lengthOf(bytes: Uint8Array, which?: string): number {
  if (!isBytes(bytes)) throw new TypeError('The bytes to read into, or to write, must be a Uint8Array.');
  const { length } = bytes;
  if (length > 0) requireIntact(bytes, length, which);
  else requireMemory(bytes, which);
  return length;
}

/** The length of a view without memory is 0, as that of an empty one is; but its methods throw. */
function requireMemory(bytes: Uint8Array, which: string | undefined): void {
  try {
    bytes.fill(0);
  } catch {
    throw lost(which);
  }
}

/** A view of the same bytes that does not grow with its buffer. */
export function fixedView(bytes: Uint8Array): Uint8Array {
  const { resizable, growable } = bytes.buffer as { resizable?: boolean; growable?: boolean };
  return resizable || growable ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length) : bytes;
}

/**
 * The transfers of a batch with their lengths.
 *
 * @throws TypeError as {@link lengthOf} does.
 */
export function fixedTransfers(transfers: readonly Transfer[]): FixedTransfer[] {
  return transfers.map(({ at, bytes }, index) => {
    const length = lengthOf(bytes, nameOf(index));
    return { at, bytes: fixedView(bytes), length };
  });
}

/**
 * Refuses a batch with a buffer that has no memory.
 *
 * @throws TypeError as {@link lengthOf} does.
 */
export function requireBuffers(transfers: readonly Transfer[]): void {
  for (let index = 0; index < transfers.length; index++) {
    const { bytes } = transfers[index]!;
    if (!hasBytes(bytes, bytes.length)) lengthOf(bytes, nameOf(index));
  }
}

/**
 * Refuses a buffer that no longer has the `length` bytes that it had when the request was made.
 *
 * @throws TypeError
 */
export function requireIntact(bytes: Uint8Array, length: number, which?: string): void {
  if (length > 0 && !hasBytes(bytes, length)) throw lost(which);
}

/**
 * Whether a buffer still has its first `length` bytes. Not by its own length: V8 11.3 (Node 20) takes that of a
 * detached buffer for what it was, in optimized code that has met resizable buffers as well.
 */
export function hasBytes(bytes: Uint8Array, length: number): boolean {
  return bytes[length - 1] !== undefined;
}

/**
 * As {@link requireIntact}, for a batch: it names the first buffer that lost its memory. The others have been filled.
 *
 * @throws TypeError
 */
export function requireAllIntact(transfers: readonly FixedTransfer[]): void {
  transfers.forEach(({ bytes, length }, index) => {
    requireIntact(bytes, length, nameOf(index));
  });
}

/** What `done` comes to, or a TypeError when a buffer lost its memory meanwhile. An abort's reason stays what it is. */
export function whileIntact(done: Done, bytes: Uint8Array, length: number, signal?: AbortSignal): Done {
  return done?.then(
    () => requireIntact(bytes, length),
    (error: unknown) => {
      if (!signal?.aborted) requireIntact(bytes, length);
      throw error;
    },
  );
}

/**
 * Copies `bytes` to `into`, from `at` on, unless `into` lost its memory: {@link requireAllIntact} reports that in the
 * end.
 */
export function put(into: Uint8Array, at: number, bytes: Uint8Array): void {
  if (bytes.length > 0 && hasBytes(into, at + bytes.length)) into.set(bytes, at);
}

function nameOf(index: number): string {
  return `Buffer ${index} of the batch`;
}

function lost(which = 'The buffer'): TypeError {
  return new TypeError(`${which} was detached or shrunk: its memory must stay until the request has ended.`);
}
