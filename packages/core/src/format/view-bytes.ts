/** The bytes of a view. Apart from `bytes.ts`, since no reader needs it (decisions/0008). */

/** Exactly the bytes of a view, which it shares. */
export function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}
