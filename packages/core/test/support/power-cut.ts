/** What a power cut leaves of an image whose writes were logged: the test chooses the moment and the sectors. */
import { bufferDevice, type Transfer } from '../../src/index.js';
import type { DeviceLog } from './recording-device.js';

/** What a medium writes whole or not at all, bytes. */
export const SECTOR = 512;

/** The writes of a log of one device that never shrank, in a list for each flush and one for what follows the last. */
export function epochsOf(log: DeviceLog): Transfer[][] {
  const epochs: Transfer[][] = [[]];
  for (const entry of log.entries) {
    if (entry.kind === 'write') epochs.at(-1)!.push({ at: entry.at, bytes: entry.bytes });
    else if (entry.kind === 'flush') epochs.push([]);
  }
  return epochs;
}

/**
 * The image after `flushes` flushes, and of what was written since the sectors that `keep` lets through, counted from
 * 0.
 */
export function crashed(
  initial: Uint8Array,
  epochs: readonly Transfer[][],
  flushes: number,
  keep: (index: number) => boolean,
): Uint8Array {
  const device = bufferDevice(initial);
  epochs.slice(0, flushes).forEach((epoch) => {
    device.write(epoch);
  });
  const sectors = (epochs[flushes] ?? []).flatMap(sectorsOf);
  device.write(sectors.filter((_, index) => keep(index)));
  return device.bytes();
}

/** A write in the parts that a power cut may tear it into. */
export function sectorsOf({ at, bytes }: Transfer): Transfer[] {
  const parts: Transfer[] = [];
  for (let from = 0; from < bytes.length; ) {
    const to = Math.min(bytes.length, from + SECTOR - ((at + from) % SECTOR));
    parts.push({ at: at + from, bytes: bytes.subarray(from, to) });
    from = to;
  }
  return parts;
}
