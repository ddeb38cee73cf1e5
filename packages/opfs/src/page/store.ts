/** The interface of a store: the images that an origin keeps, as the page sees them. */
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
 * The images that an origin keeps in OPFS, and a worker in which images are open. A file of that folder is an image;
 * its name is at most 200 bytes of UTF-8 without a slash, a leading dot or control characters, and is normalised (NFC).
 * A file that something else put there under another form of a name (NFD) is known by the normalised one; when both
 * forms are there, that is the file of the normalised name.
 *
 * Every method rejects with {@link Qcow2Error} `closed` after `close` and `failed` once the worker is dead or has been
 * silent for 30 seconds while a call waits, as after the data of the site were cleared, or in a debugger that has
 * paused it; a store that is opened then has a new worker. Those of
 * stored images reject with `unavailable` where the platform refuses OPFS; TypeError for a name that is no string,
 * RangeError for one that no image can have. `locked` comes after two seconds, in which the locks of a tab that crashed
 * are released. A change waits for a moment in which no reader has the image: readers that overlap without end keep it
 * `locked`.
 */
export interface Store extends AsyncDisposable {
  /** Where the images are, and whether they stay; as of `openStore` and of the last `persist`. */
  readonly persistence: Persistence;
  /**
   * Asks the browser to keep this origin's storage until the person clears it, best from within a click. Whether it
   * does; false for a store in memory.
   */
  persist(): Promise<boolean>;
  /**
   * Every stored image, sorted by name, by the header alone: also those that are being changed or whose header is
   * wrong, which then have an `error`. A header is read once, and again when its file has changed.
   *
   * @example
   * ```ts
   * for (const { name, info, error } of await store.list()) console.log(name, info?.virtualSize ?? error?.code);
   * ```
   */
  list(): Promise<StoredImage[]>;
  /** Whether there is an image of that name, in whatever state. */
  has(name: string): Promise<boolean>;
  /**
   * What {@link list} says of one image.
   *
   * @throws {@link Qcow2Error} `not-found`
   */
  stat(name: string): Promise<StoredImage>;
  /**
   * Makes an empty image and opens it for writing, as {@link open} does. A backing file is named by the name of an
   * image of this store, or is what `resolve` returns: a File, a URL, or `{ url }` of a web server. It need not be
   * there. Nothing is left when it fails or aborts.
   *
   * @throws {@link Qcow2Error} `exists`, `locked`, `no-space`, `corrupt` when the chain of backing files would lead in
   *   a circle; RangeError for a value that no image can have, and when an image that makes such a circle was given its
   *   name meanwhile; TypeError for options that exclude each other, and for `dataFile`: a store holds images, and a
   *   raw file beside one would be none; the signal's reason when it aborts
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
   * Takes a copy of an image into the store. A Blob is read in the worker. A stream is read to its end and released;
   * whatever refuses or ends the import cancels it with that reason. What is no image is refused at its first bytes.
   * The name stands for the image when all of it is there and has been opened; until then, and when it fails or aborts,
   * there is nothing: also when `onProgress` throws, at whichever report. In reports of progress on a stream, whose
   * length is not known, `total` is `Infinity`.
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
   * Opens a stored image, for reading unless `options.mode` is `'readwrite'`. While it is open for writing it is
   * `locked` for everything else, for readers and for `export`, `rename` and `remove` of this store too, until it is
   * closed or its tab or worker is gone; its own handle's `export` and `temporaryExport` work. With `lock: 'wait'` the
   * call waits for it. The name of a backing file leads to the image of this store with its last component for a name;
   * only where there is none, `resolve` is called. Until the image is closed, it and its bases are neither renamed nor
   * removed, nor are the bases written.
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
   * Opens an image from a file that a person chose or dropped, or any other Blob; or, by a `URL`, or by `{ url }` with
   * options, from a web server that does ranges. It is read in place, in the worker, and never written. Works where
   * OPFS is refused.
   *
   * @throws {@link Qcow2Error} `not-qcow2`, `unsupported`, `corrupt`, `io`, and of a web server `not-found` and
   *   `changed`; whatever `resolve` throws; `TypeError` when `resolve` returns an object that cannot cross to the
   *   worker, and for an address that is none of http or https; the signal's reason when it aborts
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
   * Writes an image into a file, from the worker; holes are skipped in raw ones. On an abort or a failure nothing
   * half-written is left: a file of a person's keeps what it had, a file in OPFS is left empty.
   *
   * @throws {@link Qcow2Error} `not-found`, `locked`, `no-space`, and what reading the image throws; TypeError when the
   *   file is an image of this store, which would lose what it holds; the signal's reason
   *
   * @example
   * ```ts
   * await store.export('disk.qcow2', { format: 'raw', to: handle });
   * ```
   */
  export(name: string, options: StoreExportOptions & { to: FileSystemFileHandle }): Promise<undefined>;
  /**
   * The image's bytes as a stream. The image is held until the stream ends or is cancelled; what fails is thrown by the
   * stream.
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
  /** One or the other, when only the options know which. */
  export(name: string, options: StoreExportOptions): Promise<ReadableStream<Uint8Array<ArrayBuffer>> | undefined>;
  /**
   * Writes an image into a temporary file in OPFS, for a download by an object URL.
   *
   * @throws {@link Qcow2Error} `unavailable` also for a store in memory; else as {@link export}. Nothing is left then.
   */
  temporaryExport(name: string, options: StoreTemporaryExportOptions): Promise<TemporaryExport>;
  /**
   * Gives an image another name.
   *
   * @throws {@link Qcow2Error} `not-found`, `exists`, `locked` while it is open somewhere, or while images of the store
   *   are based on it, which `details.overlays` then names; RangeError for the name of a file that it is based on
   */
  rename(from: string, to: string): Promise<void>;
  /** Deletes an image. Throws as {@link rename} does. */
  remove(name: string): Promise<void>;
  /** How much this origin stores, and may. */
  estimate(): Promise<StoreEstimate>;
  /**
   * Closes every image that is still open, deletes every temporary export and ends the worker. What still runs is
   * aborted and rejects with {@link Qcow2Error} `closed`. What cannot be flushed then is not reported: close images
   * that were written to first, to know. A second call does nothing.
   */
  close(): Promise<void>;
}
