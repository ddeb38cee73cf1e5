/**
 * Checks a caller's buffers. Their memory can go away during a request: WebAssembly's `memory.grow` and a transfer
 * detach a buffer, and a resizable buffer can shrink. The view is empty then, and copying to it does nothing.
 */
import type { Done, Transfer } from '../../api/device.js';
import { isSize, refuse, requireWhole } from '../../arguments.js';

/** A transfer with the length that its buffer had at the request. */
export interface FixedTransfer extends Transfer {
  readonly length: number;
}

/** True if a value is a Uint8Array, of any realm. */
export function isBytes(value: unknown): value is Uint8Array {
  return (value as Partial<Uint8Array> | null | undefined)?.[Symbol.toStringTag] === 'Uint8Array';
}

/**
 * The length of a caller's buffer.
 *
 * @throws TypeError when it is no Uint8Array, or is detached.
 */
export function lengthOf(bytes: Uint8Array, which?: string): number {
  if (!isBytes(bytes)) refuse(which ?? 'The buffer', 'a Uint8Array', bytes);
  const { length } = bytes;
  if (length > 0) requireIntact(bytes, length, which);
  else requireMemory(bytes, which);
  return length;
}

/** A detached view has length 0, like an empty one; but its methods throw. */
function requireMemory(bytes: Uint8Array, which: string | undefined): void {
  try {
    bytes.fill(0);
  } catch {
    throw detachedError(which);
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
 * @throws TypeError as {@link lengthOf} does, and for a batch that is not an array of objects; RangeError for an offset
 *   that is not a non-negative integer.
 */
export function fixedTransfers(transfers: readonly Transfer[]): FixedTransfer[] {
  requireBatch(transfers);
  return transfers.map(fixedTransfer);
}

function requireBatch(transfers: readonly Transfer[]): void {
  if (!Array.isArray(transfers)) refuse('transfers', 'an array', transfers);
}

function fixedTransfer(transfer: Transfer, index: number): FixedTransfer {
  const { at, bytes } = transfer ?? {};
  requireWhole(`Offset ${index} of the batch`, at);
  const length = lengthOf(bytes, nameOf(index));
  return { at, bytes: fixedView(bytes), length };
}

/** Checks a batch. Throws as {@link fixedTransfers} does. */
export function requireBuffers(transfers: readonly Transfer[]): void {
  requireBatch(transfers);
  for (let index = 0; index < transfers.length; index++) {
    const { at, bytes }: Partial<Transfer> = transfers[index] ?? {};
    // Most are valid: without the names for an error.
    if (!isSize(at) || !isBytes(bytes) || !hasBytes(bytes, bytes.length)) fixedTransfer(transfers[index]!, index);
  }
}

/**
 * Throws if a buffer no longer has the `length` bytes that it had at the request.
 *
 * @throws TypeError
 */
export function requireIntact(bytes: Uint8Array, length: number, which?: string): void {
  if (length > 0 && !hasBytes(bytes, length)) throw detachedError(which);
}

/**
 * True if a buffer still has its first `length` bytes. Does not use its `length`: V8 11.3 (Node 20) returns the old
 * length for a detached buffer, in optimized code that has seen resizable buffers as well.
 */
export function hasBytes(bytes: Uint8Array, length: number): boolean {
  return bytes[length - 1] !== undefined;
}

/**
 * As {@link requireIntact}, for a batch: the error names the first detached buffer. The others have been filled.
 *
 * @throws TypeError
 */
export function requireAllIntact(transfers: readonly FixedTransfer[]): void {
  transfers.forEach(({ bytes, length }, index) => {
    requireIntact(bytes, length, nameOf(index));
  });
}

/** The result of `done`, or a TypeError when a buffer was detached meanwhile. An abort's reason is passed on. */
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
 * Copies `bytes` to `into`, from `at` on, unless `into` was detached: {@link requireAllIntact} reports that at the end.
 */
export function put(into: Uint8Array, at: number, bytes: Uint8Array): void {
  if (bytes.length > 0 && hasBytes(into, at + bytes.length)) into.set(bytes, at);
}

function nameOf(index: number): string {
  return `Buffer ${index} of the batch`;
}

function detachedError(which = 'The buffer'): TypeError {
  return new TypeError(`${which} was detached or shrunk: its memory must stay until the request has ended.`);
}
