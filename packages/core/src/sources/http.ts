/**
 * A source that reads a file on a web server: range requests, coalesced, behind a cache of blocks. Only the caller's
 * URL is fetched. The first response gives the file's length and validators; every later one is compared with it.
 */
import type { ByteSource } from '../api/device.js';
import { openRanges } from './http-ranges.js';
import { type CacheOptions, withCache } from './with-cache.js';
import { withCoalescing } from './with-coalescing.js';

/** Minimum length of the first request, bytes: the header and, with the default cluster size, all of its cluster. */
const HEAD_BYTES = 64 * 1024;
/** Default idle timeout, ms: long enough for slow servers and for the browser's request queue. */
const DEFAULT_TIMEOUT = 60_000;
/** Maximum delay of a timer, ms. */
const MAX_TIMEOUT = 2 ** 31 - 1;
/** Browsers' connection limit per server with HTTP/1.1. */
const DEFAULT_CONCURRENCY = 6;

/** Options of fetching a file. */
export interface HttpSourceOptions extends CacheOptions {
  /**
   * Headers of every request. On another origin than the page's, headers that are not CORS-safelisted cause a preflight
   * request; without them there is none.
   */
  headers?: Readonly<Record<string, string>> | undefined;
  /** When to send credentials such as cookies; default `'same-origin'`. */
  credentials?: 'omit' | 'same-origin' | 'include' | undefined;
  /** Replaces the platform's `fetch`. It must honour the signal. */
  fetch?: ((url: string, init: RequestInit) => Promise<Response>) | undefined;
  /**
   * Idle timeout of a request, ms: from sending it to the response, and between two chunks of the body. Default 60,000,
   * at most 2^31-1.
   */
  timeout?: number | undefined;
  /** Maximum retries of a request after a network error, a timeout, or status 408, 429 or 5xx; default 3. */
  retries?: number | undefined;
  /**
   * Approximate delay before the first retry, ms. Each further delay is twice as long; Retry-After takes precedence.
   * Default 200.
   */
  retryDelay?: number | undefined;
  /** Maximum concurrent requests; default 6. */
  concurrency?: number | undefined;
  /** Aborts the opening. Each read takes its own signal. */
  signal?: AbortSignal | undefined;
}

/**
 * Opens a file on a web server by its URL, with one request, `Range: bytes=0-65535`. The server must support ranges; on
 * another origin than the page's it must send `Access-Control-Allow-Origin` and `Access-Control-Expose-Headers:
 * Content-Range, ETag`. Closing the image does not close the source: close it afterwards. It does not read ahead: small
 * reads in sequence cost a request for each block, which `blockSize` makes larger.
 *
 * @throws {@link Qcow2Error} `unsupported` when the server does not support ranges or CORS hides them, `not-found`,
 *   `io` with the status in `details`, or without one when there is no response; TypeError for a URL that is not http
 *   or https; the signal's reason
 *
 * @example
 * ```ts
 * import { httpSource, Qcow2Image } from 'qcow2';
 *
 * const source = await httpSource(url, { cacheBytes: 64 * 2 ** 20 });
 * const image = await Qcow2Image.open(source);
 * await image.close();
 * await source.close?.();
 * ```
 */
export async function httpSource(url: string | URL, options: HttpSourceOptions = {}): Promise<ByteSource> {
  const { headers = {}, credentials = 'same-origin', blockSize = HEAD_BYTES, cacheBytes, signal } = options;
  const resource = {
    ...addressOf(url),
    headers: ownHeaders(headers),
    credentials,
    // Called without a receiver: the platform's fetch refuses another `this`.
    fetch: options.fetch ?? ((address: string, init: RequestInit) => fetch(address, init)),
    retries: requireWholeNumber('retries', options.retries ?? 3, 0),
    retryDelay: requireWholeNumber('retryDelay', options.retryDelay ?? 200, 0),
    concurrency: requireWholeNumber('concurrency', options.concurrency ?? DEFAULT_CONCURRENCY, 1),
    timeout: Math.min(requireWholeNumber('timeout', options.timeout ?? DEFAULT_TIMEOUT, 1), MAX_TIMEOUT),
  };
  const { source, head } = await openRanges(resource, Math.max(HEAD_BYTES, blockSize), signal);
  return withCache(withCoalescing(source), { blockSize, cacheBytes }, head);
}

/** Returns the URL, and its form for error messages: without query and fragment, which may contain a key. */
function addressOf(url: string | URL): { url: string; name: string } {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    // A relative URL: only fetch has the base URL of the page or the worker.
    return { url: String(url), name: String(url).replace(/[?#].*$/s, '') };
  }
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') {
    const instead = parsed.protocol === 'blob:' ? ' Open the Blob itself: it is read in place, without requests.' : '';
    throw new TypeError(`An image is fetched from an http or https URL, not from ${parsed.protocol}${instead}`);
  }
  if (parsed.username !== '' || parsed.password !== '') {
    throw new TypeError(
      'The URL contains a user name or a password, which fetch refuses: send an Authorization header.',
    );
  }
  return { url: parsed.href, name: parsed.origin + parsed.pathname };
}

/** Returns the caller's headers. Throws a TypeError when they contain one that the source sets itself. */
function ownHeaders(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const ours = Object.keys(headers).find((name) => /^(if-)?range$/i.test(name));
  if (ours !== undefined) throw new TypeError(`The header ${ours} is sent by the source itself.`);
  return headers;
}

function requireWholeNumber(name: string, value: number, min: number): number {
  if (Number.isSafeInteger(value) && value >= min) return value;
  throw new RangeError(`${name} must be a whole number of at least ${min}, not ${value}.`);
}
