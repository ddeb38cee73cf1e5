/** The interfaces between the engine and the storage of an image. */

/** `bytes.length` bytes to read from or write to the offset `at`, in bytes. */
export interface Transfer {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/**
 * The result of a device call. A synchronous device returns `undefined`, and the engine does not wait. A promise may be
 * of any realm; a thenable is enough.
 */
export type Done = void | Promise<void>;

/** Something whose bytes can be read at any offset: a buffer, a Blob, a file, an HTTP resource. */
export interface ByteSource {
  /** Length in bytes. */
  readonly size: number;
  /**
   * Identifies the file: sources with the same identity read the same file. Without it a source is identified by the
   * object itself. An image refuses a file that is two of its files at once, and a second writer. A decorator returns
   * the identity of its source. A closed device may return undefined; then another image may write to the file.
   */
  readonly identity?: object | string | undefined;
  /**
   * Fills every buffer; bytes past the end read as zeros. May reorder and merge transfers. An empty batch reads nothing
   * but returns a promise if reads may have to wait. The synchronous methods of an image test this before they start.
   *
   * @throws {@link Qcow2Error} `io` when the bytes cannot be read, `changed` when the file has changed since it was
   *   opened, `closed` after `close`; TypeError when a buffer is not a Uint8Array, or is detached or shrunk before the
   *   end (the sources of this library then still fill the other buffers of the batch); the signal's reason when it
   *   aborts. After the promise rejects, nothing is written into the buffers.
   */
  read(transfers: readonly Transfer[], signal?: AbortSignal): Done;
  /**
   * Releases the file. Pending reads reject with {@link Qcow2Error} `closed`, and nothing more is written into their
   * buffers, since closing an image may wait for them. A second call does nothing.
   */
  close?(): Done;
}

/** A {@link ByteSource} that can also be written. An image that is opened for writing needs one. */
export interface BlockDevice extends ByteSource {
  /**
   * Writes every buffer and grows the device when needed. Writes may reach the medium in any order; only `flush` orders
   * them.
   */
  write(transfers: readonly Transfer[]): Done;
  /** Sets the length, in bytes. Added bytes read as zeros. */
  truncate(size: number): Done;
  /** Returns when everything written so far is on the medium. */
  flush(): Done;
}
