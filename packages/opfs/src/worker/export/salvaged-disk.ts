/** Exports a disk, past its damage if the caller wants that. */
import type { Disk, Extent, SalvageOptions } from 'qcow2';
import { isLoss, LostRanges } from 'qcow2/internal';
import { type ExportedDisk, type ExportOptions, exportInto } from './raw-export.js';

/** The part of a disk's interface that salvage needs. */
interface DamagedDisk extends ExportedDisk, Pick<Disk, 'readable'> {}

/**
 * Fills a file with a disk's bytes. With `salvage` the lost ranges are holes.
 *
 * @throws as {@link exportInto}
 */
export async function exportDisk(
  to: FileSystemFileHandle,
  disk: DamagedDisk,
  options: ExportOptions & SalvageOptions,
): Promise<void> {
  if (!options.salvage) return exportInto(to, disk, options);
  const salvaged = new SalvagedDisk(disk, options);
  // The last lost ranges are reported before the file is final: a callback that throws leaves no file.
  const reported = async (): Promise<void> => {
    salvaged.end();
    await options.reported?.();
  };
  await exportInto(to, salvaged, { ...options, reported });
}

/** A disk whose damage reads as zeros. It expects reads in ascending order, within extents that can be read. */
export class SalvagedDisk implements ExportedDisk {
  readonly size: number;
  readonly #disk: DamagedDisk;
  readonly #signal: AbortSignal | undefined;
  readonly #lost: LostRanges;
  /** The offsets of the reads in flight, and the end of the last one. */
  readonly #reading = new Set<number>();
  #until = 0;

  constructor(disk: DamagedDisk, { signal, onLost }: SalvageOptions) {
    this.size = disk.size;
    this.#disk = disk;
    this.#signal = signal;
    this.#lost = new LostRanges(onLost);
  }

  /** The extents. What is lost before an extent is known when that is returned. */
  map(): AsyncIterableIterator<Extent, undefined, undefined> {
    return this.#disk.map(undefined, { signal: this.#signal, salvage: true, onLost: this.#lost.add });
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    this.#reading.add(offset);
    this.#until = offset + into.length;
    try {
      await this.#disk.read(offset, into, { signal: this.#signal });
    } catch (error) {
      this.#signal?.throwIfAborted();
      if (!isLoss(error)) throw error;
      await this.#salvage(offset, into);
    } finally {
      this.#reading.delete(offset);
    }
    this.#lost.settle(Math.min(this.#until, ...this.#reading));
  }

  /** Reports the lost ranges that are left. */
  end(): void {
    this.#lost.end();
  }

  async #salvage(offset: number, into: Uint8Array): Promise<void> {
    const range = { start: offset, length: into.length };
    const stream = this.#disk.readable(range, { signal: this.#signal, salvage: true, onLost: this.#lost.add });
    const reader = stream.getReader();
    let at = 0;
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      into.set(next.value, at);
      at += next.value.length;
    }
  }
}
