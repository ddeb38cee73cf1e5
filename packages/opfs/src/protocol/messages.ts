/**
 * The private protocol between page and worker: what each side offers the other, all of it plain and cloneable.
 */
import type { CreateOptions, ImageInfo, ImageReference, OpenOptions, Progress } from 'qcow2';
import type { WireRemoteFile } from './remote-file.js';
import type { StoredImage } from './stored-image.js';
import type { CalledVerb, CursorVerb } from './verbs.js';
import type { WireError } from './wire-error.js';

/** What a call came to. Nothing is thrown across: comlink would strip the error of its class, code and details. */
export type Outcome<T> = { readonly value: T } | { readonly error: WireError };

/** A promise of an {@link Outcome}, which never rejects. */
export type Answer<T> = Promise<Outcome<T>>;

/** What crosses of an image's state after a change. */
export interface Changed {
  /** What the image says of itself from now on; null when only the length of its file may be another. */
  readonly info: ImageInfo | null;
  /** Length of the image's file, bytes. */
  readonly fileSize: number;
}

/** The result of a verb, and, after a change, the state of the image. */
export interface Invoked {
  readonly value: unknown;
  readonly changed: Changed | null;
}

/** The result of a write: the buffer that brought the bytes goes back. */
export interface Written extends Changed {
  readonly spare: ArrayBuffer | null;
}

/** {@link OpenOptions} without what cannot be cloned: the callbacks are only said to exist. */
export interface WireOpenOptions {
  readonly mode?: OpenOptions['mode'];
  readonly verify?: OpenOptions['verify'];
  readonly cache?: OpenOptions['cache'];
  readonly resolves: boolean;
  readonly reports: boolean;
  /** Of a stored image alone. */
  readonly lock?: 'fail' | 'wait' | undefined;
}

/** {@link CreateOptions} without the callbacks, and how the image is opened then. */
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

/** One piece of a read: bytes at a guest offset, into shared memory, or else into the answer's buffer. */
export interface WirePiece {
  readonly at: number;
  readonly length: number;
  readonly shared?: Uint8Array | undefined;
}

/**
 * One piece of a write: bytes for a guest offset, by themselves (shared, or transferred), or else in the request's
 * buffer.
 */
export interface WireBytes {
  readonly at: number;
  readonly length: number;
  readonly bytes?: Uint8Array | undefined;
}

/** One hop of a cursor: packed extents or ranges, or guest bytes, or null at the end. */
export type CursorPacket = Float64Array<ArrayBuffer> | Uint8Array<ArrayBuffer> | null;

/** A file as it crosses. */
export type WireFile = Blob | ArrayBuffer | Uint8Array | WireRemoteFile;
/** What a resolver returns, as it crosses. */
export type WireResolved = WireFile | { source: WireFile; format: 'raw' | 'qcow2' } | undefined;

/**
 * What the worker offers. The page numbers its calls; the number is the name under which a call can be aborted, reports
 * its progress, asks for files, and, where it opens something (an image, a cursor, a temporary
 * export), the name of that thing
 * after it.
 */
export interface WorkerSide {
  /** The first call: holds the lock by which the page notices this worker's death, and receives the page's side. */
  connect(lock: string, page: PageSide): Answer<void>;
  /** Returns at once: the page sees that this worker handles its messages. */
  ping(): Answer<void>;
  /** Aborts a call or a cursor; nothing happens when it has ended. */
  abort(call: number): void;
  open(call: number, file: WireFile, options: WireOpenOptions): Answer<ImageInfo>;
  /** Opens the view of a snapshot, as an image of its own that ends with the other. */
  openSnapshot(call: number, image: number, idOrName: string): Answer<ImageInfo>;
  /**
   * Fills the pieces; those without shared memory lie one after the other in the answer, which is `spare` where it
   * fits.
   */
  read(
    call: number,
    image: number,
    pieces: readonly WirePiece[],
    spare: ArrayBuffer | null,
  ): Answer<ArrayBuffer | null>;
  /** Writes the pieces, in order; those without bytes of their own lie one after the other in `packed`. */
  write(call: number, image: number, pieces: readonly WireBytes[], packed: ArrayBuffer | null): Answer<Written>;
  /** Calls a verb of the table whose result crosses at once. `args` are as `splitArguments` gives them. */
  invoke(call: number, image: number, verb: CalledVerb, args: readonly unknown[], reports: boolean): Answer<Invoked>;
  /** Opens a cursor over what a verb of the table returns: items, packed, or bytes. */
  openCursor(call: number, image: number, verb: CursorVerb, args: readonly unknown[], reports: boolean): Answer<void>;
  next(cursor: number): Answer<CursorPacket>;
  release(cursor: number): Answer<void>;
  /** Writes the guest's bytes into a file of the caller's. */
  export(call: number, image: number, to: FileSystemFileHandle, reports: boolean): Answer<void>;
  /** Writes the guest's bytes into a temporary file, which is the result. */
  temporaryExport(call: number, image: number, reports: boolean): Answer<File>;
  removeTemporaryExport(id: number): Answer<void>;
  close(image: number): Answer<void>;
  /**
   * Says where images are kept; the result is where they are. Without a fallback storage is not opened yet.
   */
  useStorage(options: WireStorageOptions): Answer<'opfs' | 'memory'>;
  list(): Answer<StoredImage[]>;
  has(name: string): Answer<boolean>;
  stat(name: string): Answer<StoredImage>;
  /** The bytes that all stored images are long. */
  usage(): Answer<number>;
  /** Makes an image and opens it for writing. */
  createStored(call: number, name: string, options: WireCreateOptions, reports: boolean): Answer<ImageInfo>;
  /** Takes over a Blob, or, for null, the chunks that the worker then requests. */
  importStored(call: number, name: string, from: Blob | null, reports: boolean): Answer<void>;
  openStored(call: number, name: string, options: WireOpenOptions): Answer<ImageInfo>;
  /** Writes a stored image into a file of the caller's. */
  exportStored(
    call: number,
    name: string,
    format: 'raw' | 'qcow2',
    to: FileSystemFileHandle,
    reports: boolean,
  ): Answer<void>;
  /** Opens a cursor over the bytes of a stored image. */
  streamStored(call: number, name: string, format: 'raw' | 'qcow2', reports: boolean): Answer<void>;
  /** Writes a stored image into a temporary file, which is the result. */
  temporaryExportStored(call: number, name: string, format: 'raw' | 'qcow2', reports: boolean): Answer<File>;
  rename(call: number, from: string, to: string): Answer<void>;
  remove(call: number, name: string): Answer<void>;
  /** Aborts what runs, waits until it has cleaned up, and closes everything. The page then terminates the worker. */
  shutdown(): Answer<void>;
}

/** What the page offers the worker. */
export interface PageSide {
  /** Asks the resolver of the call that opened an image. */
  resolve(call: number, reference: ImageReference): Answer<WireResolved>;
  /** Asks for the next chunk of the stream that a call imports; null at its end. */
  pull(call: number): Answer<Uint8Array<ArrayBuffer> | null>;
  /**
   * Reports the progress of a call. Returns, once that is delivered, whether the call goes on: false when its callback
   * threw.
   */
  progress(call: number, progress: Progress): boolean | Promise<boolean>;
}
