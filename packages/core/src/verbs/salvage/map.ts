/** Maps a whole chain as `verbs/map.ts` does, and goes on behind damaged tables. */

import type { OperationOptions, SalvageOptions } from '../../api/options.js';
import type { Extent } from '../../api/range.js';
import type { Layer, Qcow2Layer } from '../../engine/layer/layer.js';
import { mapBatches as mapChain } from '../map.js';
import { DamagedTables } from './damaged-tables.js';
import { LostRanges } from './lost-ranges.js';

/**
 * As {@link mapChain}, with unreadable extents in place of `corrupt` and `io` errors.
 *
 * @throws what the sources throw otherwise; what `onLost` throws; the signal's reason when it aborts.
 */
export async function* mapBatches(
  layer: Qcow2Layer,
  start: number,
  end: number,
  alive: () => void,
  options?: SalvageOptions,
): AsyncGenerator<Extent[], void, undefined> {
  const lost = new LostRanges(options?.onLost);
  for await (const batch of damagedBatches(layer, start, end, alive, options, lost)) {
    const last = batch.at(-1)!;
    lost.settle(last.start + last.length);
    yield batch;
  }
  lost.end();
}

/** As {@link mapBatches}, for a caller that reports what is `lost`. */
export function damagedBatches(
  layer: Layer,
  start: number,
  end: number,
  alive: () => void,
  options: OperationOptions | undefined,
  lost: LostRanges,
): AsyncGenerator<Extent[], void, undefined> {
  const { extentsFrom } = new DamagedTables(chainOf(layer), lost.add);
  return mapChain(layer, start, end, alive, options, extentsFrom);
}

/** The layers of a chain, the image itself first. */
export function chainOf(layer: Layer): Layer[] {
  const { backing } = layer.kind === 'qcow2' ? layer : { backing: null };
  return backing === null ? [layer] : [layer, ...chainOf(backing.layer)];
}
