/**
 * A source that reads a file on a web server: range requests, coalesced, behind a cache of blocks. Only the caller's
 * URL is fetched. The first response gives the file's length and validators; every later one is compared with it.
 */
import type { ByteSource } from '../api/device.js';
import { refuse } from '../arguments.js';
import { type HttpSourceOptions, httpPolicy } from './http-options.js';
import { openRanges } from './http-ranges.js';
import { withCache } from './with-cache.js';
import { withCoalescing } from './with-coalescing.js';

/** Minimum length of the first request, bytes: the header and, with the default cluster size, all of its cluster. */
const HEAD_BYTES = 64 * 1024;

/**
 * Opens a file on a web server by its URL, with one request, `Range: bytes=0-65535`. The server must support ranges; on
 * another origin than the page's it must send `Access-Control-Allow-Origin` and `Access-Control-Expose-Headers:
 * Content-Range, ETag`. Closing the image does not close the source: close it afterwards. It does not read ahead: small
 * reads in sequence cost a request for each block, which `blockSize` makes larger.
 *
 * @throws {@link Qcow2Error} `unsupported` when the server does not support ranges or CORS hides them, `not-found`,
 *   `io` with the status in `details`, or without one when there is no response; TypeError for a URL that is not http
 *   or https, and for an option of the wrong type; RangeError for an invalid number; the signal's reason
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
  const policy = httpPolicy(options);
  const { blockSize = HEAD_BYTES, cacheBytes, signal } = options;
  const resource = {
    ...policy,
    ...addressOf(url),
    // Called without a receiver: the platform's fetch refuses another `this`.
    fetch: options.fetch ?? ((address: string, init: RequestInit) => fetch(address, init)),
  };
  const { source, head } = await openRanges(resource, Math.max(HEAD_BYTES, blockSize), signal);
  return withCache(withCoalescing(source), { blockSize, cacheBytes }, head);
}

/** Returns the URL, and its form for error messages: without query and fragment, which may contain a key. */
function addressOf(url: string | URL): { url: string; name: string } {
  const address = typeof url === 'string' ? url : (url as Partial<URL> | null)?.href;
  if (typeof address !== 'string') refuse('url', 'a string or a URL', url);
  let parsed: URL;
  try {
    parsed = new URL(address);
  } catch {
    // A relative URL: only fetch has the base URL of the page or the worker.
    return { url: address, name: address.replace(/[?#].*$/s, '') };
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
