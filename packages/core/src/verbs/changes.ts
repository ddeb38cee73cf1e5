/** The changes of a disk: checks the arguments, then calls the writer. */

import type { Done, Transfer } from '../api/device.js';
import type { WritableOptions, WriteZeroesOptions } from '../api/disk.js';
import { all } from '../engine/async/done.js';
import { fixedTransfers, lengthOf } from '../engine/async/request-buffers.js';
import { requireInside } from '../engine/mapping/guest-range.js';
import type { Writer } from '../engine/write/writer.js';
import { requireZeroing } from './verb-arguments.js';
import { startIn, type WritableTarget, writableOf } from './writable.js';

/** The changes of one disk. Each throws what its form in `Disk` rejects with; undefined when nothing had to wait. */
export class Changes {
  readonly #writer: Writer;
  /** Size of the disk, bytes. */
  readonly #size: () => number;

  readonly #onFreed: (() => void) | null;

  /** `onFreed` is called with each request that may free clusters. */
  constructor(writer: Writer, size: () => number, onFreed: (() => void) | null = null) {
    this.#writer = writer;
    this.#size = size;
    this.#onFreed = onFreed;
  }

  write(offset: number, bytes: Uint8Array): Done {
    const length = lengthOf(bytes);
    this.#requireInside(offset, length);
    if (length > 0) return this.#writer.write(offset, bytes);
  }

  writeBatch(transfers: readonly Transfer[]): Done {
    const fixed = fixedTransfers(transfers);
    for (const { at, length } of fixed) this.#requireInside(at, length);
    const parts = fixed.filter(({ length }) => length > 0);
    return all(
      parts.map(
        ({ at, bytes }) =>
          (): Done =>
            this.#writer.write(at, bytes),
      ),
    );
  }

  writeZeroes(offset: number, length: number, options: WriteZeroesOptions | undefined): Done {
    requireZeroing(options);
    this.#requireInside(offset, length);
    this.spaceFreed();
    if (length > 0) return this.#writer.zero(offset, length, options?.unmap ?? false);
  }

  discard(offset: number, length: number): Done {
    this.#requireInside(offset, length);
    this.spaceFreed();
    if (length > 0) return this.#writer.discard(offset, length);
  }

  writable(target: WritableTarget, options: WritableOptions | undefined): WritableStream<Uint8Array> {
    return writableOf(target, startIn(options, this.#size()));
  }

  /** Says that a request may have freed clusters. */
  spaceFreed(): void {
    this.#onFreed?.();
  }

  #requireInside(offset: number, length: number): void {
    requireInside(offset, length, this.#size());
  }
}
