/** Files given by URL: as callers pass them, and in the form sent to the worker, which fetches them. */
import type { CreateOptions, HttpSourceOptions, ImageReference, OpenOptions, Resolved } from 'qcow2';
import { httpPolicy } from 'qcow2/internal';
import { isUrl } from './shape.js';

/**
 * A file on a web server. It is plain data: the worker fetches ranges of it as needed, like `httpSource` of the package
 * `qcow2`, which has the same options.
 */
export interface RemoteFile extends Omit<HttpSourceOptions, 'fetch' | 'signal'> {
  /** An http or https URL; a relative one is resolved against the page. */
  readonly url: string | URL;
}

/** What `resolve` may return to a store: also a file by its URL. A URL is a {@link RemoteFile} without options. */
export type StoreResolved = Resolved | RemoteFile | { source: RemoteFile; format: 'raw' | 'qcow2' };

/** Options for opening any image in a store's worker, stored or not. */
export interface FileOpenOptions extends Omit<OpenOptions, 'resolve'> {
  /** Like `resolve` of the engine's `OpenOptions`. It runs on the page, and its result must be cloneable. */
  resolve?: ((reference: ImageReference) => Promise<StoreResolved>) | undefined;
}

/** Options for opening a stored image. */
export interface StoreOpenOptions extends FileOpenOptions {
  /**
   * What to do while the image, or one that it is based on, is open for writing, or, for `mode: 'readwrite'`, is open
   * at all. `'fail'`, the default, waits two seconds, in which the locks of a crashed tab are released, and rejects
   * with `locked`. `'wait'` waits until the image is free or the signal aborts. Without a signal that may be for ever,
   * as when this page itself has the image open. If readers always have an image open, it is never free for writing.
   */
  lock?: 'fail' | 'wait' | undefined;
}

/** Options for creating an image and opening it. */
export type StoreCreateOptions = CreateOptions & Pick<FileOpenOptions, 'resolve' | 'cache'>;

/** A {@link RemoteFile} as it is sent: its URL is absolute. */
export interface WireRemoteFile {
  readonly url: string;
  readonly options: Omit<HttpSourceOptions, 'fetch' | 'signal'>;
}

/** True for a file given by its URL. */
export function isRemoteFile(value: unknown): value is RemoteFile | URL {
  if (isUrl(value)) return true;
  const url = typeof value === 'object' && value !== null && 'url' in value ? value.url : undefined;
  return typeof url === 'string' || isUrl(url);
}

/**
 * Converts the file to the form that is sent.
 *
 * @throws TypeError for an invalid URL, for an option of the wrong type, and for `fetch`, which cannot be sent;
 *   RangeError for an invalid number
 */
export function wireRemoteFile(file: RemoteFile | URL): WireRemoteFile {
  const { url, ...options }: RemoteFile = isUrl(file) ? { url: file } : file;
  if ('fetch' in options && options.fetch !== undefined) {
    throw new TypeError(
      'A fetch function of your own cannot be sent to the worker: use httpSource and Qcow2Image.open of the ' +
        'package qcow2.',
    );
  }
  httpPolicy(options);
  const { headers, credentials, timeout, retries, retryDelay, concurrency, blockSize, cacheBytes } = options;
  return {
    // In the worker a relative URL would be resolved against its script.
    url: new URL(url, globalThis.document?.baseURI ?? location.href).href,
    options: { headers: { ...headers }, credentials, timeout, retries, retryDelay, concurrency, blockSize, cacheBytes },
  };
}
