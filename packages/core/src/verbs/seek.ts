/** Owns the search for the next data and the next hole: the seed's `seek_mapped` and `seek_unmapped`. */
import type { Layer } from '../io/layer.js';
import type { Extent } from '../options.js';
import { mapBatches } from './map.js';

/** The first offset from `offset` on that may hold data; null when there is none up to the end. `alive` as for the map. */
export function seekData(layer: Layer, offset: number, alive: () => void): Promise<number | null> {
  return seek(layer, offset, alive, ({ zero }) => !zero);
}

/** The first offset from `offset` on that certainly reads as zeros; null when there is none up to the end. */
export function seekHole(layer: Layer, offset: number, alive: () => void): Promise<number | null> {
  return seek(layer, offset, alive, ({ zero }) => zero);
}

async function seek(
  layer: Layer,
  offset: number,
  alive: () => void,
  wanted: (extent: Extent) => boolean,
): Promise<number | null> {
  for await (const batch of mapBatches(layer, offset, layer.size, alive)) {
    const found = batch.find(wanted);
    if (found !== undefined) return found.start;
  }
  return null;
}
