/** Owns the interfaces between the engine and whatever holds the bytes of an image. */

/** `bytes.length` bytes to move from or to the offset `at`, in bytes. */
export interface Transfer {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/**
 * Nothing to wait for, or a promise of it: of any realm, a thenable is enough. A synchronous device returns
 * `undefined`, and the engine does not wait.
 */
export type Done = void | Promise<void>;

/** Something whose bytes can be read at any offset: a buffer, a Blob, a file, an HTTP resource. */
export interface ByteSource {
  /** Length in bytes. */
  readonly size: number;
  /**
   * What is read: sources of one identity are one file. Without it only the same object is. An image uses it to refuse
   * a file that would be two of its files at once, and a second writer. A decorator has the identity of what it
   * decorates. Closed, a device may have none: then another image may write to the file.
   */
  readonly identity?: object | string | undefined;
  /**
   * Fills every buffer; bytes past the end read as zeros. May reorder and merge. An empty batch reads nothing, and
   * returns what a read of bytes would: a promise when that can have to be waited for. The synchronous forms of an
   * image ask so before they start.
   *
   * @throws {@link Qcow2Error} `io` when the bytes cannot be read, `changed` when they are no longer those first seen,
   *   `closed` after `close`; TypeError when a buffer is no Uint8Array, or loses its memory (detached, shrunk) before
   *   the end: the sources of this library fill the others of the batch then; the signal's reason when it aborts.
   *   Nothing is written into the buffers once it has rejected.
   */
  read(transfers: readonly Transfer[], signal?: AbortSignal): Done;
  /**
   * Lets go of the medium. Reads that have not ended reject with {@link Qcow2Error} `closed`, and from then on nothing
   * is written into their buffers: an image that is closed may wait for them. A second call does nothing.
   */
  close?(): Done;
}

/** A {@link ByteSource} that can also be written: what an image lives on while it is changed. */
export interface BlockDevice extends ByteSource {
  /**
   * Writes every buffer, growing the device when needed. Writes may reach the medium in any order; only `flush` orders
   * them.
   */
  write(transfers: readonly Transfer[]): Done;
  /** Sets the length, in bytes; what is added reads as zeros. */
  truncate(size: number): Done;
  /** Returns when everything written so far is on the medium. */
  flush(): Done;
}
