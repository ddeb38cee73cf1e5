/** Iterates over the items of a cursor: extents or ranges. */
import { BatchIterator } from 'qcow2/internal';
import type { RemoteCursor } from './remote-cursor.js';

/**
 * An iterator over the items of the cursor that `open` makes for the first of them. Leaving the loop early frees the
 * worker's side of the cursor.
 */
export function itemsOf<Item>(
  open: () => RemoteCursor<Float64Array<ArrayBuffer> | null>,
  unpack: (packed: Float64Array) => Item[],
): BatchIterator<Item> {
  return new BatchIterator<Item>(async () => {
    const cursor = open();
    return {
      async next() {
        const packed = await cursor.next();
        return packed === null ? { done: true, value: undefined } : { done: false, value: unpack(packed) };
      },
      return: () => cursor.release(),
    };
  });
}
