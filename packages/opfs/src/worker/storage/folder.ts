/** Owns the interface between a store's verbs and what holds its files: OPFS, or memory. */
import type { BlockDevice, ByteSource } from 'qcow2';

/** A file of a folder as it is now: it can be read until it is renamed or removed. */
export interface FolderFile {
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since the epoch. */
  readonly lastModified: number;
  /** For a short look. */
  readonly source: Blob | ByteSource;
  /** For reading much of it, or long: the fastest that the platform has for a file that others may read meanwhile. */
  open(): Promise<ByteSource>;
}

/** A file of a folder that is being changed: nobody else has it until it is let go of. */
export interface WritableFile {
  readonly device: BlockDevice;
  /** Lets go of the device, without flushing it. */
  close(): void;
}

/** A file that has no name yet. */
export interface Draft {
  readonly device: BlockDevice;
  /**
   * Begins to make durable what has been written so far, and answers at once: where the platform can, that goes on
   * while more is written, and leaves the device's own flush less to do. It promises nothing by itself. The file must
   * have its length already.
   */
  flushAhead(): void;
  /** Lets go of the device, and does all that takes long for the file to get its name, which no other file has. */
  readyAs(name: string): Promise<Move>;
  /** Deletes it. */
  discard(): Promise<void>;
}

/** A file that is about to get a name. Until then that name is no image's. */
export interface Move {
  /** Gives the file its name. */
  finish(): Promise<void>;
  /** Leaves the file as it was. */
  cancel(): Promise<void>;
}

/**
 * The files of a store, by their normalised names (NFC). It takes care of no locks, and trusts names.
 *
 * Every method rejects with {@link Qcow2Error} `unavailable` where the platform refuses the storage.
 */
export interface Folder {
  readonly kind: 'opfs' | 'memory';
  /** Tells its locks from those of other folders. */
  readonly scope: string;
  /** The names of all files but temporary ones, sorted. */
  names(): Promise<string[]>;
  /** A file by its name; null when there is none. */
  file(name: string): Promise<FolderFile | null>;
  /** Whether anything has that name, also what is no image. */
  has(name: string): Promise<boolean>;
  /**
   * A file by its name, to be changed; null when there is none.
   *
   * @throws {@link Qcow2Error} `locked` when somebody has it who took no lock
   */
  writable(name: string): Promise<WritableFile | null>;
  draft(): Promise<Draft>;
  /** The name of the image that a file handle of the caller's is; null when it is none of this folder's. */
  imageOf(handle: FileSystemFileHandle): Promise<string | null>;
  /** Does all that takes long for a file that is there to get a name that no other file has. */
  readyToRename(from: string, to: string): Promise<Move>;
  /** Deletes a file. */
  remove(name: string): Promise<void>;
}
