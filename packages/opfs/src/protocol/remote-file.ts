/**
 * Files that are named by their address: as callers hand them in, and as they cross to the worker, which fetches them.
 */
import type { CreateOptions, HttpSourceOptions, ImageReference, OpenOptions, Resolved } from 'qcow2';
import { isUrl } from './shape.js';

/**
 * A file on a web server. It is plain data: the worker fetches what it needs of it, in ranges, as `httpSource` of the
 * package `qcow2` does, whose options these are.
 */
export interface RemoteFile extends Omit<HttpSourceOptions, 'fetch' | 'signal'> {
  /** An http or https address; a relative one is resolved against the page. */
  readonly url: string | URL;
}

/** What `resolve` may return to a store: also a file by its address. A URL is a {@link RemoteFile} without options. */
export type StoreResolved = Resolved | RemoteFile | { source: RemoteFile; format: 'raw' | 'qcow2' };

/** How an image is opened in a store's worker, whether it is in the store or not. */
export interface FileOpenOptions extends Omit<OpenOptions, 'resolve'> {
  /**
   * As `resolve` of the engine's `OpenOptions`; it runs on the page, and what it returns must be able to cross to
   * the worker.
   */
  resolve?: ((reference: ImageReference) => Promise<StoreResolved>) | undefined;
}

/** How an image of the store is opened. */
export interface StoreOpenOptions extends FileOpenOptions {
  /**
   * What to do while the image, or one that it is based on, is open for writing, or, for `mode: 'readwrite'`, is open
   * at all. `'fail'`, the default, waits two seconds, in which the locks of a tab that crashed are released, and
   * rejects with `locked`. `'wait'` waits until the image is free or the signal aborts: without a signal perhaps for
   * ever, as when this page itself has the image open. An image that readers have open at every moment is never free
   * for writing.
   */
  lock?: 'fail' | 'wait' | undefined;
}

/** What a new image is to be, and how it is opened then. */
export type StoreCreateOptions = CreateOptions & Pick<FileOpenOptions, 'resolve' | 'cache'>;

/** A {@link RemoteFile} as it crosses: its address complete. */
export interface WireRemoteFile {
  readonly url: string;
  readonly options: Omit<HttpSourceOptions, 'fetch' | 'signal'>;
}

/** Whether a value is a file by its address. */
export function isRemoteFile(value: unknown): value is RemoteFile | URL {
  if (isUrl(value)) return true;
  const url = typeof value === 'object' && value !== null && 'url' in value ? value.url : undefined;
  return typeof url === 'string' || isUrl(url);
}

/**
 * The file as it crosses.
 *
 * @throws TypeError for an address that is none, and for a `fetch`, which stays on its side
 */
export function wireRemoteFile(file: RemoteFile | URL): WireRemoteFile {
  const { url, ...options }: RemoteFile = isUrl(file) ? { url: file } : file;
  if ('fetch' in options && options.fetch !== undefined) {
    throw new TypeError(
      'A fetch of your own cannot cross to the worker: use httpSource and Qcow2Image.open of the package qcow2.',
    );
  }
  const { headers, credentials, timeout, retries, retryDelay, concurrency, blockSize, cacheBytes } = options;
  return {
    // In the worker a relative address would start from its script.
    url: new URL(url, globalThis.document?.baseURI ?? location.href).href,
    options: { headers: { ...headers }, credentials, timeout, retries, retryDelay, concurrency, blockSize, cacheBytes },
  };
}
