/**
 * Validates the response to a range request (RFC 9110, 14): it must be the range, and of the same version of the file.
 */

import { TransientError } from '../engine/async/retry.js';
import { Qcow2Error, type Qcow2ErrorCode, type Qcow2ErrorDetails } from '../errors.js';

/** The requested bytes `[start, end)`, and the resource's `name` for error messages. */
export interface RequestedRange {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

/** The validators of a file. */
export interface FileVersion {
  /** Bytes. */
  readonly size: number;
  readonly etag: string | null;
  readonly lastModified: string | null;
}

/** A parsed Content-Range; `size` is null when the server does not give it. */
interface ContentRange {
  readonly start: number;
  readonly end: number;
  readonly size: number | null;
}

/** A valid response: the file's version, and the contents of its body. */
export interface RangeResponse {
  /** Null when it is known only after the body, or not at all. */
  readonly size: number | null;
  readonly etag: string | null;
  readonly lastModified: string | null;
  /** Number of bytes of the range in the body; the maximum when the body is the whole file. */
  readonly length: number;
  /** The body is the whole file; its length is known at its end. */
  readonly isWhole: boolean;
}

/**
 * Validates a response. It must be the requested range or its first part (RFC 9110, 15.3.7), the whole file if no more
 * was requested, or, for the first request, a range past the end of the file. `known` is the version from the first
 * response.
 *
 * @throws {@link Qcow2Error} `unsupported` when the server does not support ranges or CORS hides them, `not-found`,
 *   `changed`, `io`; {@link TransientError} for a status that may be temporary
 */
export function validateResponse(
  response: Response,
  requested: RequestedRange,
  known: FileVersion | null,
): RangeResponse {
  const { status, headers } = response;
  const tags = { etag: headers.get('ETag'), lastModified: headers.get('Last-Modified') };
  if (status === 200 || status === 206) requireUnchanged(response, requested, known, tags);
  if (status === 416) return validateUnsatisfiable(response, requested, known);
  // Some servers send the whole file for a range past its end, and some do not support ranges.
  if (status === 200 && mayBeWhole(response, requested, known)) {
    return { ...tags, size: null, length: requested.end, isWhole: true };
  }
  if (status !== 206) throw statusFailure(response, requested);
  const encoding = headers.get('Content-Encoding');
  if (encoding !== null && encoding !== 'identity') {
    const problem = `sends the file encoded (${encoding}), so that its ranges are not those of the file`;
    throw failure('unsupported', response, requested, problem);
  }
  const { start, end, size } = contentRange(response, requested);
  if (size === null) throw failure('unsupported', response, requested, 'does not send the length of the file');
  if (known !== null && size !== known.size)
    throw changed(response, requested, `${known.size} bytes long, and is now ${size}`);
  if (start !== requested.start || end <= start || end > Math.min(requested.end, size)) {
    const bytes = `bytes ${start}-${end - 1} for a request of ${requested.start}-${requested.end - 1}`;
    throw failure('io', response, requested, `sent ${bytes}`);
  }
  return { ...tags, size, length: end - start, isWhole: false };
}

/** True if the whole file may be the requested range. A longer body is not read. */
function mayBeWhole({ headers }: Response, { start, end }: RequestedRange, known: FileVersion | null): boolean {
  // With a Content-Encoding, Content-Length is that of the encoded body.
  const length = headers.get('Content-Encoding') === null ? Number(headers.get('Content-Length') ?? 0) : 0;
  return start === 0 && length <= end && (known === null || known.size <= end);
}

/** The error for a whole file that is longer than the requested range: the server does not support ranges. */
export function rangesNotSupported(response: Response, requested: RequestedRange): Qcow2Error {
  return failure(
    'unsupported',
    response,
    requested,
    'does not support range requests: it would send the whole file. Download it, and open the copy',
  );
}

/** The error for a server whose validators change with every response. */
export function changingValidator(first: Qcow2Error, second: Qcow2Error): Qcow2Error {
  const { by, was, now, ...details } = first.details;
  const message =
    `The server of ${details.url} sends a different ${by} with every response (${was}, ${now}, ` +
    `${second.details.now}), so a change of the file cannot be detected. It must send the same one while the file is ` +
    'unchanged, or none.';
  return new Qcow2Error('unsupported', message, { ...details, unsteady: true });
}

/** The error for a response; `problem` continues "The server of …". */
export function failure(
  code: Qcow2ErrorCode,
  { status }: Pick<Response, 'status'>,
  { name, start }: RequestedRange,
  problem: string,
  details: Qcow2ErrorDetails = {},
): Qcow2Error {
  const common = { what: 'HTTP response', at: start, status, url: name };
  return new Qcow2Error(code, `The server of ${name} ${problem}.`, { ...common, ...details });
}

type Tags = Pick<FileVersion, 'etag' | 'lastModified'>;

function requireUnchanged(response: Response, requested: RequestedRange, known: FileVersion | null, tags: Tags): void {
  if (known === null) return;
  // Last-Modified has a resolution of a second, and may differ between servers of one file. It is compared only without
  // an ETag.
  const by = known.etag !== null && tags.etag !== null ? 'etag' : 'lastModified';
  const [was, now] = [known[by], tags[by]];
  if (was === null || now === null || opaqueTag(was) === opaqueTag(now)) return;
  const validator = { by: by === 'etag' ? 'ETag' : 'Last-Modified', was, now };
  throw changed(response, requested, `${was}, and is now ${now}`, validator);
}

/** Strips the weak prefix: weak and strong ETags with the same opaque tag are the same file (RFC 9110, 8.8.3.2). */
function opaqueTag(tag: string): string {
  return tag.replace(/^W\//, '');
}

function changed(
  response: Response,
  requested: RequestedRange,
  finding: string,
  details: Qcow2ErrorDetails = {},
): Qcow2Error {
  const problem = `has another file now: it was ${finding}. Open it again`;
  return failure('changed', response, requested, problem, details);
}

/**
 * Validates a 416 response: an empty file has no ranges, and some servers refuse a range that ends past the end of the
 * file.
 */
function validateUnsatisfiable(
  response: Response,
  requested: RequestedRange,
  known: FileVersion | null,
): RangeResponse {
  const match = /^bytes \*\/(\d+)$/i.exec(response.headers.get('Content-Range') ?? '');
  const size = match === null ? null : Number(match[1]);
  if (known === null && (size === null || size < requested.end)) {
    return { size, etag: null, lastModified: null, length: 0, isWhole: false };
  }
  if (known !== null && size !== null && size !== known.size) {
    throw changed(response, requested, `${known.size} bytes long, and is now ${size}`);
  }
  throw failure('io', response, requested, `has no bytes ${requested.start}-${requested.end - 1} (status 416)`);
}

function contentRange(response: Response, requested: RequestedRange): ContentRange {
  const value = response.headers.get('Content-Range');
  if (value === null) {
    const problem =
      'sent a part of the file, but the page may not read its Content-Range: on another origin than the page it must ' +
      'send "Access-Control-Expose-Headers: Content-Range, ETag"';
    throw failure('unsupported', response, requested, problem);
  }
  const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/i.exec(value);
  if (match === null)
    throw failure('io', response, requested, `sent an invalid Content-Range: ${JSON.stringify(value)}`);
  const size = match[3] === '*' ? null : Number(match[3]);
  if (size !== null && !Number.isSafeInteger(size)) {
    throw failure('unsupported', response, requested, `has a file of ${match[3]} bytes; the maximum is 2^53 - 1`);
  }
  return { start: Number(match[1]), end: Number(match[2]) + 1, size };
}

function statusFailure(response: Response, requested: RequestedRange): Qcow2Error | TransientError {
  const { status, headers } = response;
  if (status === 200) return rangesNotSupported(response, requested);
  if (status === 404 || status === 410)
    return failure('not-found', response, requested, `has no such file (status ${status})`);
  if (status === 401 || status === 403) {
    return failure('io', response, requested, `denies access to the file (status ${status})`);
  }
  const error = failure('io', response, requested, `returned status ${status}`);
  const isTransient = status === 408 || status === 429 || status >= 500;
  return isTransient ? new TransientError(error, retryAfter(headers.get('Retry-After'))) : error;
}

/** Parses Retry-After, a number of seconds or a date (RFC 9110, 10.2.3). Returns ms. */
function retryAfter(value: string | null): number | null {
  if (value === null) return null;
  const wait = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isNaN(wait) ? null : Math.max(0, wait);
}
