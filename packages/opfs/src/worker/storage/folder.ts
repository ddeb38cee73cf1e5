/** The interface between a store's verbs and the storage of its files: OPFS, or memory. */
import type { BlockDevice, ByteSource } from 'qcow2';

/** A snapshot of a file in a folder. It can be read until the file is renamed or removed. */
export interface FolderFile {
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since the epoch. */
  readonly lastModified: number;
  /** For reading little of it once. */
  readonly source: Blob | ByteSource;
  /** For reading much of it, or for long: the platform's fastest access that allows other readers. */
  open(): Promise<ByteSource>;
}

/** A file of a folder, opened exclusively for changes. */
export interface WritableFile {
  readonly device: BlockDevice;
  /** Closes the device without flushing it. */
  close(): void;
}

/** A file that has no name yet. */
export interface Draft {
  readonly device: BlockDevice;
  /**
   * Starts flushing what has been written so far, and returns immediately. Where the platform can, it flushes in
   * parallel with further writes, and leaves less to the device's own flush. It guarantees nothing by itself. The file
   * must have its final length already.
   */
  flushAhead(): void;
  /** Closes the device and prepares to give the file a name, which must be free. Does all the slow work. */
  prepareMove(name: string): Promise<Move>;
  /** Deletes the file. */
  discard(): Promise<void>;
}

/** A file that is about to get a name. Until then no image has that name. */
export interface Move {
  /** Gives the file its name. */
  finish(): Promise<void>;
  /** Leaves the file unchanged. */
  cancel(): Promise<void>;
}

/**
 * The files of a store, by their normalised names (NFC). Does no locking and does not validate names; callers must.
 *
 * Every method rejects with {@link Qcow2Error} `unavailable` where the platform refuses the storage.
 */
export interface Folder {
  readonly kind: 'opfs' | 'memory';
  /** Distinguishes its locks from those of other folders. */
  readonly scope: string;
  /** The names of all files but temporary ones, sorted. */
  names(): Promise<string[]>;
  /** A file by its name; null when there is none. */
  file(name: string): Promise<FolderFile | null>;
  /** Whether the name is in use, also by something that is not an image. */
  has(name: string): Promise<boolean>;
  /**
   * Opens a file for changes; null when there is none.
   *
   * @throws {@link Qcow2Error} `locked` when code that took no lock has it open
   */
  writable(name: string): Promise<WritableFile | null>;
  draft(): Promise<Draft>;
  /** The name of the image that a caller's file handle refers to; null when it is not in this folder. */
  imageOf(handle: FileSystemFileHandle): Promise<string | null>;
  /** Prepares to give an existing file another name, which must be free. Does all the slow work. */
  prepareRename(from: string, to: string): Promise<Move>;
  /** Deletes a file. */
  remove(name: string): Promise<void>;
}
