/** Reads or writes pieces of a file or a disk whose bytes follow each other in memory. */
import type { Transfer } from '../api/device.js';

/**
 * The transfers for pieces of `length` bytes at these offsets, which ascend, with their bytes one after the other in
 * `bytes`. Neighbours are one transfer.
 */
export function adjacentTransfers(offsets: readonly number[], length: number, bytes: Uint8Array): Transfer[] {
  const transfers: Transfer[] = [];
  for (let first = 0; first < offsets.length; ) {
    let end = first + 1;
    while (end < offsets.length && offsets[end] === offsets[end - 1]! + length) end++;
    transfers.push({ at: offsets[first]!, bytes: bytes.subarray(first * length, end * length) });
    first = end;
  }
  return transfers;
}
