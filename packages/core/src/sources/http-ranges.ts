/** A source that fetches ranges from a server: one request per transfer, received directly into its buffer. */

import type { ByteSource, Transfer } from '../api/device.js';
import { IdleTimeout } from '../engine/async/idle-timeout.js';
import { linkedAbort } from '../engine/async/linked-abort.js';
import {
  type FixedTransfer,
  fixedTransfers,
  hasBytes,
  put,
  requireAllIntact,
} from '../engine/async/request-buffers.js';
import { type RetryPolicy, TransientError, withRetries } from '../engine/async/retry.js';
import { Semaphore } from '../engine/async/semaphore.js';
import { isQcow2Error, Qcow2Error, reasonOf } from '../errors.js';
import { bufferSource } from './buffer.js';
import {
  changingValidator,
  type FileVersion,
  failure,
  type RangeResponse,
  type RequestedRange,
  rangesNotSupported,
  validateResponse,
} from './http-response.js';

/** A response with fewer bytes is small, when more were requested. */
const SMALL_RESPONSE = 512;
/** Maximum small responses per range. Larger ones complete a range in acceptable time, whatever their number. */
const MAX_SMALL_RESPONSES = 256;

/** The file to fetch, and how. */
export interface HttpResource extends RetryPolicy {
  readonly url: string;
  /** The URL for error messages, without the parts that may be secret. */
  readonly name: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly credentials: 'omit' | 'same-origin' | 'include';
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Maximum concurrent requests. */
  readonly concurrency: number;
  /** Idle timeout of a request, ms. */
  readonly timeout: number;
}

/** The result of the first request: the source, and the first bytes of the file. */
export interface OpenedRanges {
  readonly source: ByteSource;
  readonly head: Uint8Array;
}

/**
 * Fetches the first `length` bytes. The response gives the file's length and its validators.
 *
 * @throws {@link Qcow2Error} the errors of {@link validateResponse}, `io` when the server sends nothing; the signal's
 *   reason
 */
export async function openRanges(
  resource: HttpResource,
  length: number,
  signal: AbortSignal | undefined,
): Promise<OpenedRanges> {
  const link = linkedAbort(signal);
  try {
    link.signal.throwIfAborted();
    const bytes = new Uint8Array(length);
    const { version, isWhole } = await receiveRange(resource, 0, bytes, null, link.signal);
    const head = bytes.subarray(0, version.size);
    // A server that sent the whole of a small file may not support ranges.
    return { source: isWhole ? bufferSource(head) : new HttpRanges(resource, version), head };
  } finally {
    link.release();
  }
}

class HttpRanges implements ByteSource {
  readonly size: number;
  readonly identity: string;
  readonly #resource: HttpResource;
  readonly #version: FileVersion;
  readonly #slots: Semaphore;
  readonly #closing = new AbortController();
  /** The error of all further reads, once the server's validators have changed with every response. */
  #refusal: Qcow2Error | null = null;

  constructor(resource: HttpResource, version: FileVersion) {
    this.#resource = resource;
    this.#version = version;
    this.#slots = new Semaphore(resource.concurrency);
    this.size = version.size;
    this.identity = resource.url;
  }

  async read(transfers: readonly Transfer[], signal?: AbortSignal): Promise<void> {
    const link = linkedAbort(signal, this.#closing.signal);
    try {
      link.signal.throwIfAborted();
      const batch = fixedTransfers(transfers);
      const requests = batch.map((transfer) => this.#fill(transfer, link.signal).catch(link.abort));
      // Waits for every request, so that none writes into a buffer after the call has ended.
      await Promise.all(requests);
      link.signal.throwIfAborted();
      requireAllIntact(batch);
    } finally {
      link.release();
    }
  }

  close(): void {
    this.#closing.abort(new Qcow2Error('closed', `The source of ${this.#resource.name} was closed.`));
  }

  async #fill({ at, bytes, length: whole }: FixedTransfer, signal: AbortSignal): Promise<void> {
    const length = Math.max(0, Math.min(whole, this.size - at));
    bytes.fill(0, length);
    if (length === 0) return;
    if (this.#refusal !== null) throw this.#refusal;
    const into = bytes.subarray(0, length);
    try {
      await this.#slots.run(() => receiveRange(this.#resource, at, into, this.#version, signal), signal);
    } catch (error) {
      if (isQcow2Error(error) && error.details.unsteady) this.#refusal = error;
      throw error;
    }
  }
}

/** The file's version from the responses for a range; `isWhole` when a response contained the whole file. */
interface ReceivedRange {
  readonly version: FileVersion;
  readonly isWhole: boolean;
}

/**
 * Fills `into` with the file's bytes from `start` on, up to its end. Takes one request, or more when the server sends
 * fewer bytes than requested. `known` is the version from the first response, null for the first request.
 */
async function receiveRange(
  resource: HttpResource,
  start: number,
  into: Uint8Array,
  known: FileVersion | null,
  signal: AbortSignal,
): Promise<ReceivedRange> {
  const { length } = into;
  let version = known;
  let isWhole = false;
  // After a range that cannot be satisfied: one byte, which every file but an empty one has.
  let limit = length;
  let done = 0;
  const isFilled = (size: number) => done >= Math.min(length, size - start);
  // Stops for a detached or shrunk buffer. The batch reports it after the others are filled.
  const isLost = () => done > 0 && !hasBytes(into, length);
  for (let small = 0; version === null || !(isFilled(version.size) || isLost()); ) {
    const end = start + Math.min(limit, version === null ? length : version.size - start);
    const requested = { name: resource.name, start: start + done, end };
    if (small === MAX_SMALL_RESPONSES) throw tooManyParts(requested);
    const part = await request(resource, requested, version, into.subarray(done, end - start), signal).catch((error) =>
      confirmChange(resource, requested, version, error, signal),
    );
    const size = part.size ?? (limit === 1 && part.count === 0 ? 0 : null);
    if (size !== null) version = merged(version, { ...part, size });
    limit = size === null ? 1 : length;
    isWhole ||= part.isWhole;
    done += part.count;
    if (part.count < SMALL_RESPONSE) small++;
  }
  return { version, isWhole };
}

/** Keeps the first validator of each kind, since not every response contains them. */
function merged(known: FileVersion | null, { size, etag, lastModified }: FileVersion): FileVersion {
  return { size, etag: known?.etag ?? etag, lastModified: known?.lastModified ?? lastModified };
}

/**
 * Throws the error of a failed request. If the file seems to have changed, requests it once more: if its validator has
 * changed again, the server sends a new one with every response.
 */
async function confirmChange(
  resource: HttpResource,
  { name, start }: RequestedRange,
  known: FileVersion | null,
  error: unknown,
  signal: AbortSignal,
): Promise<never> {
  if (known === null || !isQcow2Error(error) || error.details.now === undefined) throw error;
  const tag = { [error.details.by === 'ETag' ? 'etag' : 'lastModified']: error.details.now };
  try {
    await request(resource, { name, start, end: start + 1 }, { ...known, ...tag }, new Uint8Array(1), signal);
  } catch (second) {
    signal.throwIfAborted();
    if (isQcow2Error(second) && second.details.now !== undefined) throw changingValidator(error, second);
  }
  throw error;
}

/** The result of one response: the number of bytes, and the file's version. */
interface ReceivedPart extends Omit<RangeResponse, 'length'> {
  readonly count: number;
}

/** Sends a request, with retries, until a response is received completely, into the start of `into`. */
function request(
  resource: HttpResource,
  requested: RequestedRange,
  known: FileVersion | null,
  into: Uint8Array,
  signal: AbortSignal,
): Promise<ReceivedPart> {
  const attempt = async () => {
    const link = linkedAbort(signal);
    const idleTimeout = new IdleTimeout(resource.timeout, () =>
      link.abort(new TransientError(timedOut(resource, requested))),
    );
    try {
      const response = await send(resource, requested, link.signal);
      try {
        idleTimeout.restart();
        const validated = validateResponse(response, requested, known);
        const target = into.subarray(0, validated.length);
        // The response for an empty file may contain an error page.
        const count =
          target.length === 0
            ? 0
            : await receive(response, target, requested, validated.isWhole, link.signal, idleTimeout);
        if (!validated.isWhole) return { ...validated, count };
        if (known !== null && count !== known.size) throw incomplete(response, requested, count, known.size, undefined);
        return { ...validated, size: count, count };
      } finally {
        // A body that is not read to its end keeps its connection busy, and may be as long as the file.
        cancelBody(response);
      }
    } finally {
      idleTimeout.end();
      link.release();
    }
  };
  return withRetries(attempt, resource, signal);
}

async function send(resource: HttpResource, { start, end }: RequestedRange, signal: AbortSignal): Promise<Response> {
  const { url, fetch, credentials, headers } = resource;
  try {
    return await fetch(url, {
      headers: { ...headers, Range: `bytes=${start}-${end - 1}` },
      credentials,
      // Chromium queues other requests for a URL while it caches one, and mixes old parts with new ones.
      cache: 'no-store',
      signal,
    });
  } catch (error) {
    signal.throwIfAborted();
    throw new TransientError((retrySignal) => fetchFailure(resource, start, error, retrySignal));
  }
}

/**
 * Returns the error of a failed fetch. The platform gives no reason, so a HEAD request tests if the server is
 * reachable.
 */
async function fetchFailure(
  resource: HttpResource,
  start: number,
  cause: unknown,
  signal: AbortSignal,
): Promise<Qcow2Error> {
  const { url, name, fetch, credentials, headers } = resource;
  const link = linkedAbort(signal);
  const idleTimeout = new IdleTimeout(resource.timeout, () =>
    link.abort(new TransientError(timedOut(resource, { name, start, end: start }))),
  );
  const reachable = await fetch(url, {
    method: 'HEAD',
    headers,
    credentials,
    cache: 'no-store',
    signal: link.signal,
  }).then(
    () => true,
    () => false,
  );
  idleTimeout.end();
  link.release();
  signal.throwIfAborted();
  const why = reachable
    ? 'The server can be reached, and allows the page to read from it. Browsers refuse a range with a ' +
      'Content-Encoding such as gzip: then the server must send it unencoded.'
    : 'Either the server cannot be reached, or, on another origin than the page, it does not allow the page to read ' +
      'from it: then it must send Access-Control-Allow-Origin.';
  const details = { what: 'HTTP request', at: start, url: name };
  return new Qcow2Error('io', `${name} could not be fetched: ${reasonOf(cause)}. ${why}`, details, { cause });
}

/**
 * Fills `into` from the body, chunk by chunk, with one chunk in memory. Returns the number of bytes: `into.length`, or
 * fewer for a whole file.
 */
async function receive(
  response: Response,
  into: Uint8Array,
  requested: RequestedRange,
  isWhole: boolean,
  signal: AbortSignal,
  idleTimeout: IdleTimeout,
): Promise<number> {
  const reader = response.body?.getReader();
  const { length } = into;
  let at = 0;
  try {
    for (;;) {
      const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
      signal.throwIfAborted();
      if (done) break;
      idleTimeout.restart();
      if (at + value.length > length) {
        if (isWhole) throw rangesNotSupported(response, requested);
        throw failure('io', response, requested, `sent more than the ${length} bytes that it announced`);
      }
      put(into, at, value);
      at += value.length;
    }
  } catch (error) {
    signal.throwIfAborted();
    if (isQcow2Error(error)) throw error;
    throw new TransientError(incomplete(response, requested, at, length, error));
  } finally {
    reader?.cancel().catch(() => {});
  }
  if (at < length && !isWhole) throw new TransientError(incomplete(response, requested, at, length, undefined));
  return at;
}

function tooManyParts({ name, start }: RequestedRange): Qcow2Error {
  const parts = `${MAX_SMALL_RESPONSES} parts of fewer than ${SMALL_RESPONSE} bytes`;
  const message = `The server of ${name} sends a range in more than ${parts}.`;
  return new Qcow2Error('io', message, { what: 'HTTP response', at: start, url: name });
}

function timedOut({ timeout }: HttpResource, { name, start }: RequestedRange): Qcow2Error {
  const message = `The server of ${name} sent nothing for ${timeout / 1000} seconds.`;
  return new Qcow2Error('io', message, { what: 'HTTP request', at: start, url: name, timeout });
}

function incomplete(
  { status }: Response,
  { name, start }: RequestedRange,
  at: number,
  length: number,
  cause: unknown,
): Qcow2Error {
  const message = `The response of the server of ${name} ended after ${at} of ${length} bytes.`;
  return new Qcow2Error('io', message, { what: 'HTTP response', at: start, status, url: name }, { cause });
}

function cancelBody({ body }: Response): void {
  if (body !== null && !body.locked) body.cancel().catch(() => {});
}
