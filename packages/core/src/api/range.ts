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
  /** Reads as zeros. With `data` only from a map with `detectZeroes`: the stored bytes are zeros. */
  zero: boolean;
  /** Has stored bytes. If neither `zero` nor `data` is set, the range is in a backing file that was not provided. */
  data: boolean;
  /** Stored as a compressed cluster. */
  compressed: boolean;
  /**
   * Offset of the bytes in the file that contains them; absent for ranges that are compressed, encrypted or not stored.
   */
  offset?: number;
  /**
   * Only from a map with `salvage`: the bytes cannot be read, since the tables of layer `depth` are damaged here, or
   * its file ends before the bytes. `present` is then true, `zero` and `data` are false.
   */
  unreadable?: true;
}

/**
 * A range of the disk that could not be read, and why. Neighbours with the same `code`, `what` and `layer` are one
 * range, with the `message` of the first. Structured-cloneable.
 */
export interface LostRange extends Range {
  /** The image is damaged here, or its source could not be read. */
  readonly code: 'corrupt' | 'io';
  /** The message of the error that a read of the range rejects with. */
  readonly message: string;
  /**
   * The kind of structure that is damaged: `'L2 table'`, `'L2 entry'`, `'compressed cluster'`, `'data cluster'`;
   * `'file'` or `'data file'` where a file could not be read.
   */
  readonly what?: string | undefined;
  /** Depth of the file in the backing chain: 1 for the backing file. Absent for the image itself. */
  readonly layer?: number | undefined;
}
