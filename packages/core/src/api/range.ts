/** The types of ranges of guest bytes. */

/** The guest bytes `[start, start + length)`. */
export interface Range {
  readonly start: number;
  readonly length: number;
}

/** A range and where it is stored: one element of `qemu-img map --output=json`. */
export interface Extent {
  /** Guest offset, bytes. */
  start: number;
  /** Bytes. */
  length: number;
  /** Depth of the layer that maps the range: 0 is this image, 1 its backing file, and so on. */
  depth: number;
  /** True if layer `depth` maps this range. False if no layer does, so that it reads as zeros. */
  present: boolean;
  /** Reads as zeros. */
  zero: boolean;
  /** Has stored bytes. If neither `zero` nor `data` is set, the range is in a backing file that was not provided. */
  data: boolean;
  /** Stored as a compressed cluster. */
  compressed: boolean;
  /**
   * Offset of the bytes in the file that contains them; absent for ranges that are compressed, encrypted or not stored.
   */
  offset?: number;
}
