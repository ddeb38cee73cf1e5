/**
 * Owns files that are named by their address: as callers hand them in, and as they cross to the worker, which fetches
 * them.
 */
import type { CreateOptions, HttpSourceOptions, ImageReference, OpenOptions, Resolved } from 'qcow2';
import { isOf } from './shape.js';

/**
 * A file on a web server. It is plain data: the worker fetches what it needs of it, in ranges, as `httpSource` of the
 * package `qcow2` does, whose options these are.
 */
export interface RemoteFile extends Omit<HttpSourceOptions, 'fetch' | 'signal'> {
  /** An http or https address; a relative one is resolved against the page. */
  readonly url: string | URL;
}

/** What `resolve` may answer to a store: a file by its address, too. */
export type StoreResolved = Resolved | RemoteFile | { source: RemoteFile; format: 'raw' | 'qcow2' };

/** How an image is opened in a store's worker. */
export interface StoreOpenOptions extends Omit<OpenOptions, 'resolve'> {
  /**
   * As `resolve` of the engine's `OpenOptions`; it runs on the page, and its answer must be able to cross to the
   * worker.
   */
  resolve?: ((reference: ImageReference) => Promise<StoreResolved>) | undefined;
}

/** What a new image is to be, and how it is opened then. */
export type StoreCreateOptions = CreateOptions & Pick<StoreOpenOptions, 'resolve' | 'cache'>;

/** A {@link RemoteFile} as it crosses: its address complete. */
export interface WireRemoteFile {
  readonly url: string;
  readonly options: Omit<HttpSourceOptions, 'fetch' | 'signal'>;
}

/** Whether a value is a file by its address. */
export function isRemoteFile(value: unknown): value is RemoteFile {
  const url = typeof value === 'object' && value !== null && 'url' in value ? value.url : undefined;
  return typeof url === 'string' || isOf(url, 'URL');
}

/**
 * The file as it crosses.
 *
 * @throws TypeError for an address that is none, and for a `fetch`, which stays on its side
 */
export function wireRemoteFile({ url, ...options }: RemoteFile): WireRemoteFile {
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
