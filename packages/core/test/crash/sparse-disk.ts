/** Keeps a disk of any size in memory: what was never written, or was cut off, is zeros and takes no memory. */

/** The unit in which memory is taken, bytes. */
const PAGE = 64 * 1024;
const ZEROS = new Uint8Array(PAGE);

/** A disk. Sizes and offsets in bytes. */
export class SparseDisk {
  #size: number;
  readonly #pages = new Map<number, Uint8Array>();

  constructor(bytes: Uint8Array) {
    this.#size = bytes.length;
    this.write(0, bytes.length, bytes);
  }

  get size(): number {
    return this.#size;
  }

  /** Null bytes are zeros. What lies past the end is left out. */
  write(offset: number, length: number, bytes: Uint8Array | null): void {
    const end = Math.min(offset + length, this.#size);
    for (let at = offset; at < end; ) {
      const to = Math.min(end, at - (at % PAGE) + PAGE);
      const page = this.#pageOf(at, bytes !== null);
      if (bytes !== null) page!.set(bytes.subarray(at - offset, to - offset), at % PAGE);
      else page?.fill(0, at % PAGE, (at % PAGE) + to - at);
      at = to;
    }
  }

  /** What is past a nearer end is gone; what a later end adds is zeros. */
  resize(size: number): void {
    for (const [index, page] of this.#pages) {
      if (index * PAGE >= size) this.#pages.delete(index);
      else if ((index + 1) * PAGE > size) page.fill(0, size - index * PAGE);
    }
    this.#size = size;
  }

  /** Zeros past the end. */
  read(offset: number, length: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(length);
    for (const { at, there } of this.#parts(offset, length)) bytes.set(there, at - offset);
    return bytes;
  }

  /** True if the disk reads as `bytes` from `offset` on. */
  equals(offset: number, bytes: Uint8Array): boolean {
    for (const { at, there } of this.#parts(offset, bytes.length)) {
      const other = bytes.subarray(at - offset, at - offset + there.length);
      if (Buffer.compare(there, other) !== 0) return false;
    }
    return true;
  }

  *#parts(offset: number, length: number): Generator<{ at: number; there: Uint8Array }> {
    for (let at = offset; at < offset + length; ) {
      const to = Math.min(offset + length, at - (at % PAGE) + PAGE);
      const page = this.#pages.get(Math.floor(at / PAGE)) ?? ZEROS;
      yield { at, there: page.subarray(at % PAGE, (at % PAGE) + to - at) };
      at = to;
    }
  }

  #pageOf(at: number, take: boolean): Uint8Array | undefined {
    const index = Math.floor(at / PAGE);
    let page = this.#pages.get(index);
    if (page === undefined && take) {
      page = new Uint8Array(PAGE);
      this.#pages.set(index, page);
    }
    return page;
  }
}
