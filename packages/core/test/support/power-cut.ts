/** Owns the device that remembers what each flush brought, and the images that a power cut would have left of it. */
import { type BlockDevice, type BufferDevice, bufferDevice, type Transfer } from '../../src/index.js';

/** Keeps what each flush brought to the medium, one list of writes for each. */
export class Recorder implements BlockDevice {
  readonly epochs: Transfer[][] = [[]];
  readonly #device: BufferDevice;

  constructor(initial: Uint8Array) {
    this.#device = bufferDevice(initial);
  }

  get size(): number {
    return this.#device.size;
  }

  read(transfers: readonly Transfer[]): void {
    this.#device.read(transfers);
  }

  write(transfers: readonly Transfer[]): void {
    for (const { at, bytes } of transfers) this.epochs.at(-1)!.push({ at, bytes: bytes.slice() });
    this.#device.write(transfers);
  }

  truncate(size: number): void {
    this.#device.truncate(size);
  }

  flush(): void {
    this.epochs.push([]);
  }
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
    const to = Math.min(bytes.length, from + 512 - ((at + from) % 512));
    parts.push({ at: at + from, bytes: bytes.subarray(from, to) });
    from = to;
  }
  return parts;
}
