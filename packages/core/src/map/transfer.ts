/** Owns the unit of every plan: one contiguous run of bytes to move. */

/** `bytes.length` bytes to move from or to the offset `at`, in bytes. */
export interface Transfer {
  readonly at: number;
  readonly bytes: Uint8Array;
}
