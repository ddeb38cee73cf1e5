/** The items of a cursor, one by one: extents, or ranges. */
import { BatchIterator } from 'qcow2/internal';
import type { RemoteCursor } from './remote-cursor.js';

/** The items of a cursor. Leaving the iteration early frees the worker's side of it. */
export function itemsOf<Item>(
  cursor: RemoteCursor<Float64Array<ArrayBuffer> | null>,
  unpack: (packed: Float64Array) => Item[],
): BatchIterator<Item> {
  return new BatchIterator<Item>({
    async next() {
      const packed = await cursor.next();
      return packed === null ? { done: true, value: undefined } : { done: false, value: unpack(packed) };
    },
    return: () => cursor.release(),
  });
}
