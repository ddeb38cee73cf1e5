/** Buffers whose memory can be taken away: by growing WebAssembly memory, by a transfer, by resizing. */

const PAGE = 65_536;

/** A buffer, and what takes its memory away, or a part of it. */
export interface LosableBuffer {
  readonly bytes: Uint8Array;
  detach(): void;
}

/** An ArrayBuffer with the method that the types of this version of the language lack. */
export interface ResizableBuffer extends ArrayBuffer {
  resize(length: number): void;
}

/** Makes a buffer that can grow to `maxByteLength`. */
export function resizable(length: number, maxByteLength: number): ResizableBuffer {
  const Resizable = ArrayBuffer as unknown as { new (length: number, o: { maxByteLength: number }): ResizableBuffer };
  return new Resizable(length, { maxByteLength });
}

/** Each way in which a buffer of `length` bytes loses memory. In the last one its view is shorter then, but valid. */
export const WAYS_TO_LOSE: readonly (readonly [name: string, make: (length: number) => LosableBuffer])[] = [
  [
    'WebAssembly memory that grows',
    (length) => {
      const memory = new WebAssembly.Memory({ initial: Math.ceil(length / PAGE) + 1 });
      return { bytes: new Uint8Array(memory.buffer, 4096, length), detach: () => memory.grow(1) };
    },
  ],
  [
    'a buffer that is transferred',
    (length) => {
      const bytes = new Uint8Array(length);
      return { bytes, detach: () => structuredClone(bytes.buffer, { transfer: [bytes.buffer] }) };
    },
  ],
  [
    'a resizable buffer that shrinks',
    (length) => {
      const buffer = resizable(length + 100, 2 * length + 200);
      return { bytes: new Uint8Array(buffer, 100, length), detach: () => buffer.resize(100 + length / 2) };
    },
  ],
  [
    'a resizable buffer that shrinks under a view of its length',
    (length) => {
      const buffer = resizable(length, 2 * length);
      return { bytes: new Uint8Array(buffer), detach: () => buffer.resize(length / 2) };
    },
  ],
];
