/** Searches for the next data and the next hole, as the seed's `seek_mapped` and `seek_unmapped`. */
import type { Layer } from '../engine/layer/layer.js';
import { mapBatches } from './map.js';

/**
 * The first offset from `offset` on that surely reads as zeros or, without `zero`, that may contain data; undefined
 * when there is none up to the end. `alive` throws as for the map.
 */
export async function seek(
  layer: Layer,
  offset: number,
  zero: boolean,
  alive: () => void,
): Promise<number | undefined> {
  for await (const batch of mapBatches(layer, offset, layer.size, alive)) {
    const found = batch.find((extent) => extent.zero === zero);
    if (found !== undefined) return found.start;
  }
  return undefined;
}
