/** The interface of a store: the images of an origin, as the page uses them. */
import type { OperationOptions } from 'qcow2';
import type { FileOpenOptions, RemoteFile, StoreCreateOptions, StoreOpenOptions } from '../protocol/remote-file.js';
import type {
  Persistence,
  StoredImage,
  StoreEstimate,
  StoreExportOptions,
  StoreTemporaryExportOptions,
} from '../protocol/stored-image.js';
import type { TemporaryExport } from './temporary-export.js';
import type { WorkerImage } from './worker-image.js';

/**
 * The images that an origin keeps in OPFS, and a worker in which images are open. Every file of that folder is an
 * image. Its name is at most 200 bytes of UTF-8 without a slash, a leading dot or control characters, and is normalised
 * (NFC). A file that other code created under another form of a name (NFD) is found by the normalised name. If both
 * forms exist, the name means the normalised one.
 *
 * Every method rejects with {@link Qcow2Error} `closed` after `close`. It rejects with `failed` once the worker is
 * dead, or has been silent for 30 seconds during a call, as after the site's data were cleared or while a debugger
 * pauses it. A store opened afterwards has a new worker. Methods of stored images reject with `unavailable` where the
 * platform refuses OPFS, with TypeError for a name that is not a string and for an option of the wrong type, and with
 * RangeError for an invalid name or number.
 * `locked` comes after two seconds, in which the locks of a crashed tab are released. A change waits until no reader
 * has the image open: readers that overlap without end keep it `locked`, and keep an `open` for writing with `lock:
 * 'wait'` waiting.
 */
export interface Store extends AsyncDisposable {
  /**
   * Where the images are stored and whether the browser may evict them; as of `openStore` and of the last `persist`.
   */
  readonly persistence: Persistence;
  /**
   * Requests persistent storage for this origin, best called from within a click. Returns whether it is granted; false
   * for a store in memory.
   */
  persist(): Promise<boolean>;
  /**
   * Every stored image, sorted by name, described by its header alone. An image that is being changed, or whose header
   * is invalid, has an `error`. A header is read once, and again when its file has changed. The folder is not locked:
   * an image that another tab renames meanwhile may be listed under both names, or under neither.
   *
   * @example
   * ```ts
   * for (const { name, info, error } of await store.list()) console.log(name, info?.virtualSize ?? error?.code);
   * ```
   */
  list(): Promise<StoredImage[]>;
  /** Whether an image of that name exists, valid or not. */
  has(name: string): Promise<boolean>;
  /**
   * The entry of one image in {@link list}.
   *
   * @throws {@link Qcow2Error} `not-found`
   */
  stat(name: string): Promise<StoredImage>;
  /**
   * Creates an empty image and opens it for writing, as {@link open} does. A backing file is given by the name of an
   * image of this store, or is what `resolve` returns: a File, a URL, or `{ url }` of a web server. It need not exist.
   * No file is left when the call fails or aborts.
   *
   * @throws {@link Qcow2Error} `exists`, `locked`, `no-space`, `corrupt` when the chain of backing files would be
   *   circular; RangeError for an invalid value, and when an image that makes such a circle took its name meanwhile;
   *   TypeError for options that exclude each other, and for `dataFile`, since a store contains images only, not raw
   *   files; the signal's reason when it aborts
   *
   * @example
   * ```ts
   * const backing = { backingFile: 'base.qcow2', backingFormat: 'qcow2' };
   * const image = await store.create('overlay.qcow2', { size: 2 ** 30, ...backing });
   * await image.write(0, bytes);
   * await image.close();
   * ```
   */
  create(name: string, options: StoreCreateOptions): Promise<WorkerImage>;
  /**
   * Copies an image into the store. A Blob is read in the worker. A stream is read to its end and released; a failure
   * or abort cancels it with that reason. A file that is not an image is rejected at its first bytes. The name appears
   * only when the whole copy is stored and has been opened. If the call fails or aborts, also because `onProgress`
   * throws at any report, no file is left. For a stream, whose length is unknown, `total` is `Infinity` in progress
   * reports.
   *
   * @throws {@link Qcow2Error} `exists`, `locked`, `no-space`, `not-qcow2`, `unsupported`, `corrupt`, `changed` when
   *   the file was changed meanwhile; what the stream throws; TypeError when it is neither a Blob nor a stream of
   *   bytes; RangeError for the name of a file that the image is based on; the signal's reason when it aborts
   *
   * @example
   * ```ts
   * await store.import('disk.qcow2', file, {
   *   signal,
   *   onProgress: ({ done, total }) => console.log(`${done} of ${total} bytes`),
   * });
   * ```
   */
  import(name: string, from: Blob | ReadableStream<Uint8Array>, options?: OperationOptions): Promise<void>;
  /**
   * Opens a stored image, for reading unless `options.mode` says otherwise. An image open for writing or repair is
   * `locked` for everything else, including readers and `export`, `rename` and `remove` of this store, until it is
   * closed or its tab or worker ends. `export` and `temporaryExport` of its own handle work. With `lock: 'wait'` the
   * call waits for it. A backing file is the image of this store whose name is the last component of the backing
   * file's name. Only if there is none, `resolve` is called. Until the image is closed, it and its bases cannot be
   * renamed or removed, and the bases cannot be written.
   *
   * @throws {@link Qcow2Error} `not-found`, `locked`, `needs-repair` when it is to be written and marked dirty or
   *   corrupt, `corrupt` when it is to be written and a check of it finds damage, else as {@link openFile}
   *
   * @example
   * ```ts
   * const image = await store.open('disk.qcow2', { mode: 'readwrite' });
   * await image.write(0, bytes);
   * await image.close();
   * ```
   */
  open(name: string, options?: StoreOpenOptions): Promise<WorkerImage>;
  /**
   * Opens an image from a File or any other Blob, or, by a `URL` or by `{ url }` with options, from a web server that
   * supports range requests. It is read in place, in the worker, and never written. Works where OPFS is refused.
   *
   * @throws {@link Qcow2Error} `not-qcow2`, `unsupported`, `corrupt`, `io`, and of a web server `not-found` and
   *   `changed`; whatever `resolve` throws; `TypeError` when `resolve` returns an object that cannot be sent to the
   *   worker, and for a URL that is not http or https; the signal's reason when it aborts
   *
   * @example
   * ```ts
   * const chosen = await store.openFile(file);
   * const resolve = async ({ name }: { name: string }) => new URL(name, url);
   * const remote = await store.openFile(new URL(url), { resolve });
   * ```
   */
  openFile(file: Blob | URL | RemoteFile, options?: FileOpenOptions): Promise<WorkerImage>;
  /**
   * Writes an image into a file, from the worker. Holes are skipped in raw files. An abort or failure leaves no partial
   * file: a file on the user's disk keeps its old content, a file in OPFS is left empty. With `salvage`, what cannot be
   * read is a hole in a raw file, and `onLost` is called with it.
   *
   * @throws {@link Qcow2Error} `not-found`, `locked`, `no-space`, and what reading the image throws; TypeError when the
   *   file is an image of this store, which would be overwritten, and for `salvage` with the format `'qcow2'`; the
   *   signal's reason
   *
   * @example
   * ```ts
   * await store.export('disk.qcow2', { format: 'raw', to: handle });
   * ```
   */
  export(name: string, options: StoreExportOptions & { to: FileSystemFileHandle }): Promise<undefined>;
  /**
   * The image's bytes as a stream. The image is locked until the stream ends or is cancelled. Errors are reported by
   * the stream. A `Response` of which it is the body hides them: read it with a reader or `pipeTo` to get the
   * {@link Qcow2Error}.
   *
   * @example
   * ```ts
   * const stream = await store.export('disk.qcow2', { format: 'qcow2' });
   * console.log((await new Response(stream).blob()).size);
   * ```
   */
  export(
    name: string,
    options: StoreExportOptions & { to?: undefined },
  ): Promise<ReadableStream<Uint8Array<ArrayBuffer>>>;
  /** Either form, if `to` is only known at run time. */
  export(name: string, options: StoreExportOptions): Promise<ReadableStream<Uint8Array<ArrayBuffer>> | undefined>;
  /**
   * Writes an image into a temporary file in OPFS, for a download by an object URL.
   *
   * @throws {@link Qcow2Error} `unavailable` also for a store in memory; else as {@link export}. No file is left then.
   */
  temporaryExport(name: string, options: StoreTemporaryExportOptions): Promise<TemporaryExport>;
  /**
   * Renames an image.
   *
   * @throws {@link Qcow2Error} `not-found`, `exists`, `locked` while it is open somewhere, or while images of the store
   *   are based on it, which `details.overlays` then names; RangeError for the name of a file that it is based on
   */
  rename(from: string, to: string): Promise<void>;
  /** Deletes an image. Throws as {@link rename} does. */
  remove(name: string): Promise<void>;
  /** This origin's storage usage and quota. */
  estimate(): Promise<StoreEstimate>;
  /**
   * Closes every open image, deletes every temporary export and terminates the worker. Running calls are aborted and
   * reject with {@link Qcow2Error} `closed`. Failed flushes are not reported: to see them, close written images first.
   * A second call does nothing.
   */
  close(): Promise<void>;
}
