/** A source of the caller's own: an example of the README of `qcow2`, run by a test. */
// #region example
import { type ByteSource, withCache, withCoalescing } from 'qcow2';

/** What a program has: `fetchRange` returns the bytes `[start, end)` of a file of `size` bytes. */
export function rangeSource(size: number, fetchRange: (start: number, end: number) => Promise<Uint8Array>): ByteSource {
  const source: ByteSource = {
    size,
    async read(transfers, signal) {
      await Promise.all(
        transfers.map(async ({ at, bytes }) => {
          const found = await fetchRange(Math.min(at, size), Math.min(at + bytes.length, size));
          signal?.throwIfAborted();
          bytes.set(found);
          bytes.fill(0, found.length); // past the end of a file there are zeros
        }),
      );
    },
  };
  return withCache(withCoalescing(source)); // fewer and longer requests, each block fetched once
}
// #endregion
