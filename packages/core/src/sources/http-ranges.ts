/** Owns the source that asks a server for ranges: each transfer is one request, and its bytes go straight where they belong. */
import { isQcow2Error, Qcow2Error, reasonOf } from '../errors.js';
import type { ByteSource, Transfer } from '../io/device.js';
import { type FixedTransfer, fixedTransfers, put, requireAllIntact } from '../io/request-buffers.js';
import { type Asked, type FileVersion, failure, judgeAnswer } from './http-answer.js';
import { linkedAbort } from './linked-abort.js';
import { Patience } from './patience.js';
import { PassingFailure, type RetryPolicy, withRetries } from './retries.js';
import { Slots } from './slots.js';

/** What is asked, and how. */
export interface HttpResource extends RetryPolicy {
  readonly url: string;
  /** The address as messages and errors show it: without what may be secret in it. */
  readonly name: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly credentials: 'omit' | 'same-origin' | 'include';
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Requests under way at once. */
  readonly concurrency: number;
  /** How long the server may say nothing to a request, ms. */
  readonly timeout: number;
}

/** What the first request brought: the source, and the bytes that the file begins with. */
export interface OpenedRanges {
  readonly source: ByteSource;
  readonly head: Uint8Array;
}

/**
 * Asks for the first `length` bytes, and learns from the answer how long the file is and by what to know it again.
 *
 * @throws {@link Qcow2Error} what {@link judgeAnswer} throws, `io` for a server that says nothing; the signal's reason
 */
export async function openRanges(
  resource: HttpResource,
  length: number,
  signal: AbortSignal | undefined,
): Promise<OpenedRanges> {
  const link = linkedAbort(signal);
  const asked = { name: resource.name, start: 0, end: length };
  try {
    link.signal.throwIfAborted();
    let version: FileVersion = { size: 0, etag: null, lastModified: null };
    const head = await request(resource, asked, link.signal, (response) => {
      version = judgeAnswer(response, asked, null);
      return new Uint8Array(Math.min(length, version.size));
    });
    return { source: new HttpRanges(resource, version), head };
  } finally {
    link.release();
  }
}

class HttpRanges implements ByteSource {
  readonly size: number;
  readonly identity: string;
  readonly #resource: HttpResource;
  readonly #version: FileVersion;
  readonly #slots: Slots;
  readonly #closing = new AbortController();

  constructor(resource: HttpResource, version: FileVersion) {
    this.#resource = resource;
    this.#version = version;
    this.#slots = new Slots(resource.concurrency);
    this.size = version.size;
    this.identity = resource.url;
  }

  async read(transfers: readonly Transfer[], signal?: AbortSignal): Promise<void> {
    const link = linkedAbort(signal, this.#closing.signal);
    try {
      link.signal.throwIfAborted();
      const batch = fixedTransfers(transfers);
      const requests = batch.map((transfer) => this.#fill(transfer, link.signal).catch(link.abort));
      // Every request ends before this does, so that none writes into a buffer that its owner has back.
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
    const into = bytes.subarray(0, length);
    const asked = { name: this.#resource.name, start: at, end: at + length };
    const send = () =>
      request(this.#resource, asked, signal, (response) => {
        judgeAnswer(response, asked, this.#version);
        return into;
      });
    await this.#slots.run(send, signal);
  }
}

/** Sends a request until it is answered with all bytes that `accept` makes room for; answers that room, filled. */
function request(
  resource: HttpResource,
  asked: Asked,
  signal: AbortSignal,
  accept: (response: Response) => Uint8Array,
): Promise<Uint8Array> {
  const attempt = async () => {
    const link = linkedAbort(signal);
    const patience = new Patience(resource.timeout, () => link.abort(new PassingFailure(silent(resource, asked))));
    try {
      const response = await send(resource, asked, link.signal);
      try {
        patience.heard();
        const into = accept(response);
        // An empty file may be told with a page about it.
        if (into.length > 0) await receive(response, into, asked, link.signal, patience);
        return into;
      } finally {
        // A body that nobody reads to its end keeps its connection busy, and may be as long as the file.
        letGo(response);
      }
    } finally {
      patience.end();
      link.release();
    }
  };
  return withRetries(attempt, resource, signal);
}

async function send(resource: HttpResource, { start, end }: Asked, signal: AbortSignal): Promise<Response> {
  const { url, name, fetch, credentials, headers } = resource;
  try {
    return await fetch(url, {
      headers: { ...headers, Range: `bytes=${start}-${end - 1}` },
      credentials,
      // Chromium keeps other requests for one address waiting while it fills its cache with one, and mixes old parts with new.
      cache: 'no-store',
      signal,
    });
  } catch (error) {
    signal.throwIfAborted();
    const message =
      `${name} could not be fetched: ${reasonOf(error)}. Either the server cannot be reached, or, on another origin than the page, it does ` +
      'not allow the page to read from it: then it must answer with Access-Control-Allow-Origin.';
    const details = { what: 'HTTP request', at: start, url: name };
    throw new PassingFailure(new Qcow2Error('io', message, details, { cause: error }));
  }
}

/** Fills `into` from the body, chunk by chunk: one chunk is in memory beside it. */
async function receive(
  response: Response,
  into: Uint8Array,
  asked: Asked,
  signal: AbortSignal,
  patience: Patience,
): Promise<void> {
  const reader = response.body?.getReader();
  const { length } = into;
  let at = 0;
  try {
    for (;;) {
      const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
      signal.throwIfAborted();
      if (done) break;
      patience.heard();
      if (at + value.length > length) {
        throw failure('io', response, asked, `sent more than the ${length} bytes that it announced`);
      }
      put(into, at, value);
      at += value.length;
    }
  } catch (error) {
    signal.throwIfAborted();
    if (isQcow2Error(error)) throw error;
    throw new PassingFailure(broken(response, asked, at, length, error));
  } finally {
    reader?.cancel().catch(() => {});
  }
  if (at < length) throw new PassingFailure(broken(response, asked, at, length, undefined));
}

function silent({ timeout }: HttpResource, { name, start }: Asked): Qcow2Error {
  const message = `The server of ${name} said nothing for ${timeout / 1000} seconds.`;
  return new Qcow2Error('io', message, { what: 'HTTP request', at: start, url: name, timeout });
}

function broken({ status }: Response, { name, start }: Asked, at: number, length: number, cause: unknown): Qcow2Error {
  const message = `The answer of the server of ${name} ended after ${at} of ${length} bytes.`;
  return new Qcow2Error('io', message, { what: 'HTTP answer', at: start, status, url: name }, { cause });
}

function letGo({ body }: Response): void {
  if (body !== null && !body.locked) body.cancel().catch(() => {});
}
