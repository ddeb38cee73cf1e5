/** A device in memory, made of pages that are allocated when they are written. */

import type { BlockDevice, Transfer } from '../api/device.js';
import { requireWhole } from '../arguments.js';
import { lengthOf, requireBuffers } from '../engine/async/request-buffers.js';
import { Qcow2Error } from '../errors.js';

/** Page size, bytes: small enough for sparse images, large enough that there are few pages. */
const PAGE = 64 * 1024;

/** A device in memory whose contents can be copied out. */
export interface BufferDevice extends BlockDevice {
  /** Returns a copy of all bytes, `size` bytes long. */
  bytes(): Uint8Array<ArrayBuffer>;
}

/**
 * Creates a device in memory with a copy of `initial`, or empty. Ranges that were never written use no memory.
 *
 * @throws TypeError when `initial` is not a Uint8Array, or is detached
 *
 * @example
 * ```ts
 * import { bufferDevice, Qcow2Image } from 'qcow2';
 *
 * const device = bufferDevice(bytes);
 * const image = await Qcow2Image.open(device, { mode: 'readwrite' });
 * image.writeSync(0, new Uint8Array(512));
 * await image.close();
 * const changed = new Blob([device.bytes()]);
 * ```
 */
export function bufferDevice(initial?: Uint8Array): BufferDevice {
  const device = new PagedBuffer();
  if (initial !== undefined) lengthOf(initial, 'initial');
  if (initial !== undefined) device.write([{ at: 0, bytes: initial }]);
  return device;
}

class PagedBuffer implements BufferDevice {
  readonly #pages = new Map<number, Uint8Array>();
  #size = 0;
  #open = true;

  get size(): number {
    return this.#size;
  }

  read(transfers: readonly Transfer[], signal?: AbortSignal): void {
    signal?.throwIfAborted();
    this.#alive();
    requireBuffers(transfers);
    for (const transfer of transfers) this.#read(transfer);
  }

  write(transfers: readonly Transfer[]): void {
    this.#alive();
    requireBuffers(transfers);
    for (const { at, bytes } of transfers) {
      for (const { page, from, start, length } of parts(at, bytes.length)) {
        this.#page(page).set(bytes.subarray(start, start + length), from);
      }
      this.#size = Math.max(this.#size, at + bytes.length);
    }
  }

  truncate(size: number): void {
    this.#alive();
    requireWhole('size', size);
    const last = Math.floor(size / PAGE);
    for (const number of this.#pages.keys()) if (number > last || number * PAGE >= size) this.#pages.delete(number);
    // The removed bytes must read as zeros when the device grows again.
    this.#pages.get(last)?.fill(0, size - last * PAGE);
    this.#size = size;
  }

  flush(): void {
    this.#alive();
  }

  close(): void {
    this.#open = false;
    this.#pages.clear();
  }

  bytes(): Uint8Array<ArrayBuffer> {
    this.#alive();
    const all = new Uint8Array(this.#size);
    this.#read({ at: 0, bytes: all });
    return all;
  }

  #read({ at, bytes }: Transfer): void {
    for (const { page, from, start, length } of parts(at, bytes.length)) {
      const kept = this.#pages.get(page);
      if (kept === undefined) bytes.fill(0, start, start + length);
      else bytes.set(kept.subarray(from, from + length), start);
    }
  }

  #page(number: number): Uint8Array {
    let page = this.#pages.get(number);
    if (page === undefined) {
      page = new Uint8Array(PAGE);
      this.#pages.set(number, page);
    }
    return page;
  }

  #alive(): void {
    if (!this.#open) throw new Qcow2Error('closed', 'The buffer device was closed.');
  }
}

/** Yields the pages that a run of bytes touches: the page, the offset in it, and the part of the run. */
function* parts(
  at: number,
  length: number,
): Generator<{ page: number; from: number; start: number; length: number }, void, undefined> {
  for (let start = 0; start < length; ) {
    const page = Math.floor((at + start) / PAGE);
    const from = at + start - page * PAGE;
    const part = Math.min(PAGE - from, length - start);
    yield { page, from, start, length: part };
    start += part;
  }
}
