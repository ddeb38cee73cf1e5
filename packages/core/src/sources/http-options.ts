/** The options of fetching a file from a web server: their type, their check and their defaults. */
import { type Kinds, requireKind, requireOptions, requireWhole } from '../arguments.js';
import { requireOneOf } from '../choices.js';
import { type CacheOptions, requireCache } from './with-cache.js';

const KINDS: Kinds = { headers: 'an object', fetch: 'a function' };
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

/** How a file is fetched, apart from its address and the cache. */
export interface HttpPolicy {
  readonly headers: Readonly<Record<string, string>>;
  readonly credentials: 'omit' | 'same-origin' | 'include';
  readonly retries: number;
  readonly retryDelay: number;
  readonly concurrency: number;
  readonly timeout: number;
}

/**
 * Checks a caller's options. Returns those of requests, with their defaults.
 *
 * @throws TypeError for an option of the wrong type, and for a header that the source sets itself; RangeError for an
 *   invalid number
 */
export function httpPolicy(options: HttpSourceOptions): HttpPolicy {
  requireOptions(options);
  requireOptions(options, KINDS);
  requireCache(options);
  const { headers = {}, credentials = 'same-origin', retries = 3, retryDelay = 200 } = options;
  const { concurrency = DEFAULT_CONCURRENCY, timeout = DEFAULT_TIMEOUT } = options;
  requireHeaders(headers);
  requireOneOf('credentials', credentials, ['omit', 'same-origin', 'include']);
  requireWhole('retries', retries);
  requireWhole('retryDelay', retryDelay);
  requireWhole('concurrency', concurrency, 1);
  requireWhole('timeout', timeout, 1);
  return { headers, credentials, retries, retryDelay, concurrency, timeout: Math.min(timeout, MAX_TIMEOUT) };
}

function requireHeaders(headers: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(headers)) {
    if (/^(if-)?range$/i.test(name)) throw new TypeError(`The header ${name} is sent by the source itself.`);
    requireKind(`The header ${name}`, value, 'a string');
  }
}
