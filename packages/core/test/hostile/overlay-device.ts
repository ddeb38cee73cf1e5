/**
 * Owns the device on which damaged images are written to: changes lie over the file, which stays as it is, and are
 * counted.
 */
import type { BlockDevice, Transfer } from '../../src/api/device.js';

const PAGE = 4096;

/** A file in memory with changes over it; neither copying nor restoring it takes time. */
export class OverlayDevice implements BlockDevice {
  size: number;
  /** What was asked of it. */
  readonly requested = { reads: 0, writes: 0, bytesWritten: 0, flushes: 0 };
  readonly violations: string[] = [];
  readonly #file: Uint8Array;
  /** Bytes of the file that still count: what was cut off reads as zeros when the device grows again. */
  #kept: number;
  readonly #pages = new Map<number, Uint8Array>();

  constructor(file: Uint8Array) {
    this.#file = file;
    this.size = file.length;
    this.#kept = file.length;
  }

  read(transfers: readonly Transfer[]): void {
    this.requested.reads++;
    for (const { at, bytes } of transfers) {
      this.#note('read', at, bytes.length);
      for (let done = 0; done < bytes.length; ) {
        const page = Math.floor((at + done) / PAGE);
        const from = at + done - page * PAGE;
        const length = Math.min(PAGE - from, bytes.length - done);
        bytes.set(this.#page(page).subarray(from, from + length), done);
        done += length;
      }
    }
  }

  write(transfers: readonly Transfer[]): void {
    this.requested.writes++;
    for (const { at, bytes } of transfers) {
      this.#note('write', at, bytes.length);
      this.requested.bytesWritten += bytes.length;
      for (let done = 0; done < bytes.length; ) {
        const page = Math.floor((at + done) / PAGE);
        const from = at + done - page * PAGE;
        const length = Math.min(PAGE - from, bytes.length - done);
        const held = this.#page(page);
        held.set(bytes.subarray(done, done + length), from);
        this.#pages.set(page, held);
        done += length;
      }
      this.size = Math.max(this.size, at + bytes.length);
    }
  }

  truncate(size: number): void {
    this.requested.writes++;
    if (!Number.isSafeInteger(size) || size < 0) this.violations.push(`truncate to ${size}`);
    this.#kept = Math.min(this.#kept, size);
    for (const [page, held] of this.#pages) {
      if (page * PAGE >= size) this.#pages.delete(page);
      else if ((page + 1) * PAGE > size) held.fill(0, size - page * PAGE);
    }
    this.size = size;
  }

  flush(): void {
    this.requested.flushes++;
  }

  #note(what: string, at: number, length: number): void {
    if (!Number.isSafeInteger(at) || at < 0) this.violations.push(`${what} of ${length} bytes at ${at}`);
  }

  /** A page as it reads; to be kept by whoever changes it. */
  #page(page: number): Uint8Array {
    const held = this.#pages.get(page);
    if (held !== undefined) return held;
    const start = page * PAGE;
    const there = this.#file.subarray(Math.min(start, this.#kept), Math.min(start + PAGE, this.#kept));
    const copy = new Uint8Array(PAGE);
    copy.set(there);
    return copy;
  }
}
