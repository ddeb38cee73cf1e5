/**
 * Owns the source over a file on a web server: range requests, joined where they are near, behind a cache of blocks.
 * Nothing is fetched but the address that the caller gives. The first answer tells how long the file is and by what to
 * know it again; every later one is compared with it.
 */
import type { ByteSource } from '../api/device.js';
import { openRanges } from './http-ranges.js';
import { type CacheOptions, withCache } from './with-cache.js';
import { withCoalescing } from './with-coalescing.js';

/**
 * What the first request asks for at the least, bytes: the header and, at the usual cluster size, all of its cluster.
 */
const HEAD_BYTES = 64 * 1024;
/** So long that a slow server, or a queue of the browser's, is not taken for a dead one. Milliseconds. */
const TIMEOUT = 60_000;
/** No timer takes more, ms. */
const LONGEST_TIMEOUT = 2 ** 31 - 1;
/** As many as browsers open to one server over HTTP/1.1. */
const CONCURRENCY = 6;

/** How a file is fetched. */
export interface HttpSourceOptions extends CacheOptions {
  /**
   * Sent with every request. On another origin than the page's they make the browser ask the server first, unless they
   * are among the few that need no leave; without them no such question is asked.
   */
  headers?: Readonly<Record<string, string>> | undefined;
  /** Whether cookies and the like are sent; default `'same-origin'`. */
  credentials?: 'omit' | 'same-origin' | 'include' | undefined;
  /** Used in place of the platform's `fetch`. It must honour the signal. */
  fetch?: ((url: string, init: RequestInit) => Promise<Response>) | undefined;
  /**
   * How long the server may say nothing before the request has failed, ms: from sending it to the first word of the
   * answer, and from one part of the answer to the next. Default 60,000, at most 2^31-1.
   */
  timeout?: number | undefined;
  /**
   * How often a request is made again when the network or the timeout fails it, or the server says 408, 429 or 5xx;
   * default 3.
   */
  retries?: number | undefined;
  /**
   * About how long to wait before that, ms; each further wait is twice as long, and Retry-After comes first. Default
   * 200.
   */
  retryDelay?: number | undefined;
  /** How many requests are under way at once; default 6. */
  concurrency?: number | undefined;
  /** Aborts the opening. Each read takes a signal of its own. */
  signal?: AbortSignal | undefined;
}

/**
 * Opens a file on a web server by its address, with one request, `Range: bytes=0-65535`. The server must do ranges; on
 * another origin than the page's it must allow them to be read (`Access-Control-Allow-Origin`, and
 * `Access-Control-Expose-Headers: Content-Range, ETag`). The source stays the caller's: close it after the image.
 *
 * @throws {@link Qcow2Error} `unsupported` when the server does not do ranges or does not let them be read,
 *   `not-found`, `io` with the status in `details`, or without one when no answer comes; TypeError for an address that
 *   is none of http or https; the signal's reason
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
    // Called as a function of nothing: the platform's own refuses another `this`.
    fetch: options.fetch ?? ((address: string, init: RequestInit) => fetch(address, init)),
    retries: count('retries', options.retries ?? 3, 0),
    retryDelay: count('retryDelay', options.retryDelay ?? 200, 0),
    concurrency: count('concurrency', options.concurrency ?? CONCURRENCY, 1),
    timeout: Math.min(count('timeout', options.timeout ?? TIMEOUT, 1), LONGEST_TIMEOUT),
  };
  const { source, head } = await openRanges(resource, Math.max(HEAD_BYTES, blockSize), signal);
  return withCache(withCoalescing(source), { blockSize, cacheBytes }, head);
}

/** The address, and how messages show it: what follows the path may be a key. */
function addressOf(url: string | URL): { url: string; name: string } {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    // Relative to the page or the worker, which fetch knows and this does not.
    return { url: String(url), name: String(url).replace(/[?#].*$/s, '') };
  }
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') {
    const instead = parsed.protocol === 'blob:' ? ' Open the Blob itself: it is read in place, without requests.' : '';
    throw new TypeError(`An image is fetched from an http or https address, not from ${parsed.protocol}${instead}`);
  }
  if (parsed.username !== '' || parsed.password !== '') {
    throw new TypeError('The address holds a name or a password, which fetch refuses: send an Authorization header.');
  }
  return { url: parsed.href, name: parsed.origin + parsed.pathname };
}

/** The caller's headers, when they leave ours alone. */
function ownHeaders(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const ours = Object.keys(headers).find((name) => /^(if-)?range$/i.test(name));
  if (ours !== undefined) throw new TypeError(`The header ${ours} is sent by the source itself.`);
  return headers;
}

function count(name: string, value: number, least: number): number {
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw new RangeError(`${name} must be a whole number of at least ${least}, not ${value}.`);
}
