/** Types of the ranges of guest bytes. */

/** A run of guest bytes: `[start, start + length)`. */
export interface Range {
  readonly start: number;
  readonly length: number;
}

/** The fields and meaning of one element of `qemu-img map --output=json`. */
export interface Extent {
  /** Guest offset, bytes. */
  start: number;
  /** Bytes. */
  length: number;
  /** Which layer of the chain decides: 0 is this image, 1 its backing file, and so on. */
  depth: number;
  /** Whether that layer holds an entry for it; otherwise it reads as zeros because nobody does. */
  present: boolean;
  /** Reads as zeros. */
  zero: boolean;
  /** Has bytes stored. Neither `zero` nor `data` means: in a backing file that was not handed over. */
  data: boolean;
  /** Stored as a compressed cluster. */
  compressed: boolean;
  /** Offset in the file that holds the bytes; absent for what is compressed, encrypted or stored nowhere. */
  offset?: number;
}
