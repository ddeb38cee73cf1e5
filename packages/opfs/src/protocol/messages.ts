/** The private protocol between page and worker: the calls that each side serves. All values can be cloned. */
import type {
  CreateOptions,
  ImageInfo,
  ImageReference,
  LostRange,
  OpenOptions,
  Progress,
  SnapshotReference,
} from 'qcow2';
import type { WireRemoteFile } from './remote-file.js';
import type { StoredImage } from './stored-image.js';
import type { CalledVerb, CursorVerb } from './verbs.js';
import type { WireError } from './wire-error.js';

/** The result of a call. Errors are sent as values: comlink would strip their class, code and details. */
export type Outcome<T> = { readonly value: T } | { readonly error: WireError };

/** A promise of an {@link Outcome}, which never rejects. */
export type PromisedOutcome<T> = Promise<Outcome<T>>;

/** The state of an image that is sent after a change. */
export interface Changed {
  /** The image's new state; null when only the length of its file may have changed. */
  readonly info: ImageInfo | null;
  /** Length of the image's file, bytes. */
  readonly fileSize: number;
}

/** The result of a verb, and the state of the image after a change. */
export interface Invoked {
  readonly value: unknown;
  readonly changed: Changed | null;
}

/** The result of a write. Also returns the buffer that contained the bytes. */
export interface Written extends Changed {
  readonly spare: ArrayBuffer | null;
}

/** The callbacks that a call has on the page: what need not be reported is not sent. */
export interface WireReports {
  readonly progress: boolean;
  readonly lost: boolean;
}

/** An export: whether it goes on past damage, and its callbacks. */
export interface WireExportOptions {
  readonly salvage: boolean;
  readonly reports: WireReports;
}

/** {@link OpenOptions} without what cannot be cloned: only whether there are callbacks is sent. */
export interface WireOpenOptions {
  readonly mode?: OpenOptions['mode'];
  readonly verify?: OpenOptions['verify'];
  readonly repairDirty?: OpenOptions['repairDirty'];
  readonly autoCompact?: OpenOptions['autoCompact'];
  readonly cache?: OpenOptions['cache'];
  readonly resolves: boolean;
  readonly reports: WireReports;
  /** For stored images only. */
  readonly lock?: 'fail' | 'wait' | undefined;
}

/** {@link CreateOptions} without the callbacks, and the options for opening the new image. */
export interface WireCreateOptions extends Omit<CreateOptions, 'signal' | 'onProgress'> {
  readonly cache?: OpenOptions['cache'];
  readonly resolves: boolean;
}

/** Where a store keeps its images. */
export interface WireStorageOptions {
  /** The folder of OPFS. */
  readonly directory: string;
  /** What to do where the platform refuses OPFS. */
  readonly fallback: 'memory' | null;
}

/** One piece of a read: guest bytes from an offset, into shared memory or into the response's buffer. */
export interface WirePiece {
  readonly at: number;
  readonly length: number;
  readonly shared?: Uint8Array | undefined;
}

/**
 * One piece of a write: bytes for a guest offset, in a buffer of their own (shared or transferred) or in the request's.
 */
export interface WireBytes {
  readonly at: number;
  readonly length: number;
  readonly bytes?: Uint8Array | undefined;
}

/** One packet of a cursor: packed extents or ranges, or guest bytes, or null at the end. */
export type CursorPacket = Float64Array<ArrayBuffer> | Uint8Array<ArrayBuffer> | null;

/** A file in its message form. */
export type WireFile = Blob | ArrayBuffer | Uint8Array | WireRemoteFile;
/** What a resolver returns, in its message form. */
export type WireResolved = WireFile | { source: WireFile; format: 'raw' | 'qcow2' } | undefined;

/**
 * The calls that the worker serves. The page numbers its calls. A call is aborted, reports progress and requests files
 * by its number. If it opens an object (an image, a cursor, a temporary export), the number identifies that object
 * afterwards.
 */
export interface WorkerSide {
  /** The first call. Takes the lock by which the page detects this worker's death, and receives the page's side. */
  connect(lock: string, page: PageSide): PromisedOutcome<void>;
  /** Returns at once, which shows the page that this worker handles its messages. */
  ping(): PromisedOutcome<void>;
  /** Aborts a call or a cursor. Does nothing when it has ended. */
  abort(call: number): void;
  open(call: number, file: WireFile, options: WireOpenOptions): PromisedOutcome<ImageInfo>;
  /** Opens the view of a snapshot as an image of its own. Closing the other image closes it. */
  openSnapshot(call: number, image: number, which: SnapshotReference): PromisedOutcome<ImageInfo>;
  /**
   * Fills the pieces. Those without shared memory follow each other in the response's buffer, which is `spare` if it
   * fits.
   */
  read(
    call: number,
    image: number,
    pieces: readonly WirePiece[],
    spare: ArrayBuffer | null,
  ): PromisedOutcome<ArrayBuffer | null>;
  /** Writes the pieces, in order. Those without a buffer of their own follow each other in `packed`. */
  write(
    call: number,
    image: number,
    pieces: readonly WireBytes[],
    packed: ArrayBuffer | null,
  ): PromisedOutcome<Written>;
  /** Calls a verb that has a single result. `args` come from `splitArguments`. */
  invoke(
    call: number,
    image: number,
    verb: CalledVerb,
    args: readonly unknown[],
    reports: WireReports,
  ): PromisedOutcome<Invoked>;
  /** The state of an image, after a change of it that failed. */
  state(call: number, image: number): PromisedOutcome<Changed>;
  /** Opens a cursor over the result of a verb: packed items, or bytes. */
  openCursor(
    call: number,
    image: number,
    verb: CursorVerb,
    args: readonly unknown[],
    reports: WireReports,
  ): PromisedOutcome<void>;
  next(cursor: number): PromisedOutcome<CursorPacket>;
  release(cursor: number): PromisedOutcome<void>;
  /** Writes the guest bytes into a file of the caller's. */
  export(call: number, image: number, to: FileSystemFileHandle, options: WireExportOptions): PromisedOutcome<void>;
  /** Writes the guest bytes into a temporary file, and returns it. */
  temporaryExport(call: number, image: number, options: WireExportOptions): PromisedOutcome<File>;
  removeTemporaryExport(id: number): PromisedOutcome<void>;
  close(image: number): PromisedOutcome<void>;
  /** Selects where images are stored, and returns where they are. Without a fallback storage is not opened yet. */
  useStorage(options: WireStorageOptions): PromisedOutcome<'opfs' | 'memory'>;
  list(): PromisedOutcome<StoredImage[]>;
  has(name: string): PromisedOutcome<boolean>;
  stat(name: string): PromisedOutcome<StoredImage>;
  /** Total length of all stored images, in bytes. */
  usage(): PromisedOutcome<number>;
  /** Creates an image and opens it for writing. */
  createStored(
    call: number,
    name: string,
    options: WireCreateOptions,
    reports: WireReports,
  ): PromisedOutcome<ImageInfo>;
  /** Imports a Blob, or, for null, the chunks that the worker then requests. */
  importStored(call: number, name: string, from: Blob | null, reports: WireReports): PromisedOutcome<void>;
  openStored(call: number, name: string, options: WireOpenOptions): PromisedOutcome<ImageInfo>;
  /** Writes a stored image into a file of the caller's. */
  exportStored(
    call: number,
    name: string,
    format: 'raw' | 'qcow2',
    to: FileSystemFileHandle,
    options: WireExportOptions,
  ): PromisedOutcome<void>;
  /** Opens a cursor over the bytes of a stored image. */
  streamStored(call: number, name: string, format: 'raw' | 'qcow2', options: WireExportOptions): PromisedOutcome<void>;
  /** Writes a stored image into a temporary file, and returns it. */
  temporaryExportStored(
    call: number,
    name: string,
    format: 'raw' | 'qcow2',
    options: WireExportOptions,
  ): PromisedOutcome<File>;
  rename(call: number, from: string, to: string): PromisedOutcome<void>;
  remove(call: number, name: string): PromisedOutcome<void>;
  /**
   * Aborts running calls, waits until they have cleaned up, and closes everything. The page then terminates the worker.
   */
  shutdown(): PromisedOutcome<void>;
}

/** The calls that the page serves. */
export interface PageSide {
  /** Calls the resolver of the call that opened an image. */
  resolve(call: number, reference: ImageReference): PromisedOutcome<WireResolved>;
  /** Returns the next chunk of the stream that a call imports; null at its end. */
  pull(call: number): PromisedOutcome<Uint8Array<ArrayBuffer> | null>;
  /**
   * Reports the progress of a call. Returns, once it is delivered, whether the call continues: false if its callback
   * threw.
   */
  progress(call: number, progress: Progress): boolean | Promise<boolean>;
  /** Reports lost ranges of a call, in order. Returns as {@link progress} does. */
  lost(call: number, lost: readonly LostRange[]): boolean | Promise<boolean>;
}
