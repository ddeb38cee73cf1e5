/** Owns the judgement of a server's answer to a range request (RFC 9110, 14): whether it is the range, and of the same file. */
import { Qcow2Error, type Qcow2ErrorCode } from '../errors.js';
import { PassingFailure } from './retries.js';

/** Bytes `[start, end)` that were asked for, of the resource that messages call `name`. */
export interface Asked {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

/** By what a file is known again. */
export interface FileVersion {
  /** Bytes. */
  readonly size: number;
  readonly etag: string | null;
  readonly lastModified: string | null;
}

/** What Content-Range says; a `size` of null is a server that does not tell. */
interface ContentRange {
  readonly start: number;
  readonly end: number;
  readonly size: number | null;
}

/**
 * What the answer says of the file, when the answer is the range that was asked for, or the part of it that the file has.
 * `known` is what the first answer said.
 *
 * @throws {@link Qcow2Error} `unsupported` when the server does not do ranges or does not let them be read, `not-found`, `changed`,
 *   `io`; {@link PassingFailure} for a status that may pass
 */
export function judgeAnswer(response: Response, asked: Asked, known: FileVersion | null): FileVersion {
  const { status } = response;
  if (status === 200 || status === 206) refuseChange(response, asked, known);
  if (status === 200 && known === null && response.headers.get('Content-Length') === '0') return versionOf(response, 0);
  if (status === 416) return judgeUnsatisfiable(response, asked, known);
  if (status !== 206) throw statusFailure(response, asked);
  const encoding = response.headers.get('Content-Encoding');
  if (encoding !== null && encoding !== 'identity') {
    throw failure(
      'unsupported',
      response,
      asked,
      `sends the file encoded (${encoding}), so that its ranges are not those of the file`,
    );
  }
  const { start, end, size } = contentRange(response, asked);
  if (size === null) throw failure('unsupported', response, asked, 'does not say how long the file is');
  if (known !== null && size !== known.size)
    throw changed(response, asked, `${known.size} bytes long, and now ${size}`);
  if (start !== asked.start || end !== Math.min(asked.end, size)) {
    const ranges = `bytes ${asked.start}-${asked.end - 1} and sent ${start}-${end - 1}`;
    throw failure('io', response, asked, `was asked for ${ranges}`);
  }
  return versionOf(response, size);
}

/** An error about an answer; `said` goes on from "The server of …". */
export function failure(
  code: Qcow2ErrorCode,
  { status }: Pick<Response, 'status'>,
  { name, start }: Asked,
  said: string,
): Qcow2Error {
  return new Qcow2Error(code, `The server of ${name} ${said}.`, { what: 'HTTP answer', at: start, status, url: name });
}

function versionOf({ headers }: Response, size: number): FileVersion {
  return { size, etag: headers.get('ETag'), lastModified: headers.get('Last-Modified') };
}

function refuseChange(response: Response, asked: Asked, known: FileVersion | null): void {
  if (known === null) return;
  const { etag, lastModified } = versionOf(response, known.size);
  // Last-Modified counts to the second, and servers of one file may differ in it: it decides only where there is no ETag.
  const [before, now] = known.etag !== null && etag !== null ? [known.etag, etag] : [known.lastModified, lastModified];
  if (before !== null && now !== null && before !== now) throw changed(response, asked, `${before}, and now ${now}`);
}

function changed(response: Response, asked: Asked, said: string): Qcow2Error {
  return failure('changed', response, asked, `has another file there than at first: it was ${said}. Open it again`);
}

/** An empty file has no range to give; any other has the ones that we ask for, unless it has become shorter. */
function judgeUnsatisfiable(response: Response, asked: Asked, known: FileVersion | null): FileVersion {
  const told = /^bytes \*\/(\d+)$/i.exec(response.headers.get('Content-Range') ?? '');
  const size = told === null ? null : Number(told[1]);
  if (known === null && (size ?? 0) === 0) return versionOf(response, 0);
  if (known !== null && size !== null && size !== known.size) {
    throw changed(response, asked, `${known.size} bytes long, and now ${size}`);
  }
  throw failure('io', response, asked, `has no bytes ${asked.start}-${asked.end - 1} (status 416)`);
}

function contentRange(response: Response, asked: Asked): ContentRange {
  const value = response.headers.get('Content-Range');
  if (value === null) {
    const said =
      'sent a part of the file, but does not let its Content-Range be read: on another origin than the page it must answer ' +
      'with "Access-Control-Expose-Headers: Content-Range, ETag"';
    throw failure('unsupported', response, asked, said);
  }
  const told = /^bytes (\d+)-(\d+)\/(\d+|\*)$/i.exec(value);
  if (told === null)
    throw failure('io', response, asked, `sent a Content-Range that says nothing: ${JSON.stringify(value)}`);
  const size = told[3] === '*' ? null : Number(told[3]);
  if (size !== null && !Number.isSafeInteger(size)) {
    throw failure('unsupported', response, asked, `has a file of ${told[3]} bytes, and 2^53-1 is the most`);
  }
  return { start: Number(told[1]), end: Number(told[2]) + 1, size };
}

function statusFailure(response: Response, asked: Asked): Qcow2Error | PassingFailure {
  const { status, headers } = response;
  if (status === 200) {
    return failure(
      'unsupported',
      response,
      asked,
      'does not do ranges: it would send the whole file. Download it, and open the copy',
    );
  }
  if (status === 404 || status === 410)
    return failure('not-found', response, asked, `has no such file (status ${status})`);
  if (status === 401 || status === 403) {
    return failure('io', response, asked, `refuses to give the file to this reader (status ${status})`);
  }
  const error = failure('io', response, asked, `answered with status ${status}`);
  const passes = status === 408 || status === 429 || status >= 500;
  return passes ? new PassingFailure(error, retryAfter(headers.get('Retry-After'))) : error;
}

/** Retry-After in ms: it is a number of seconds, or a date (RFC 9110, 10.2.3). */
function retryAfter(value: string | null): number | null {
  if (value === null) return null;
  const wait = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isNaN(wait) ? null : Math.max(0, wait);
}
