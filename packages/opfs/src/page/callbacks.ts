/**
 * Serves the worker's calls to the page: the caller's resolvers, streams, and callbacks of progress and lost ranges,
 * keyed by the number of their call.
 */
import { transfer } from 'comlink';
import type { ImageReference, LostRange, Progress, SalvageOptions } from 'qcow2';
import { isBytes, reasonOf, requireEmpty } from 'qcow2/internal';
import type { PageSide, PromisedOutcome, WireFile, WireResolved } from '../protocol/messages.js';
import { isRemoteFile, type StoreResolved, wireRemoteFile } from '../protocol/remote-file.js';
import { isArrayBuffer, isBlob } from '../protocol/shape.js';
import type { WireError } from '../protocol/wire-error.js';

/** The callbacks of one call. */
export interface CallCallbacks {
  readonly resolve?: ((reference: ImageReference) => Promise<StoreResolved>) | undefined;
  readonly onProgress?: SalvageOptions['onProgress'];
  readonly onLost?: SalvageOptions['onLost'];
  /** The next chunk of a stream, or null at its end. Its buffer is transferred. */
  readonly pull?: (() => Promise<Uint8Array<ArrayBuffer> | null>) | undefined;
}

interface Registered extends CallCallbacks {
  /** The error that `onProgress` or `onLost` threw. The call rejects with it. */
  thrown?: { readonly error: unknown };
}

/** The page's side of the protocol. */
export class Callbacks implements PageSide {
  readonly #calls = new Map<number, Registered>();
  readonly #kept = new Map<number, { readonly call: number; readonly error: unknown }>();
  readonly #abort: (call: number) => void;
  #lastKey = 0;

  /** @param abort stops a call whose callback threw */
  constructor(abort: (call: number) => void) {
    this.#abort = abort;
  }

  /** Keeps the callbacks of a call until it is forgotten. */
  register(call: number, callbacks: CallCallbacks): void {
    const { resolve, onProgress, onLost, pull } = callbacks;
    if (resolve || onProgress || onLost || pull) this.#calls.set(call, { resolve, onProgress, onLost, pull });
  }

  /** Drops the callbacks of a call and the errors they threw. */
  forget(call: number): void {
    if (!this.#calls.delete(call)) return;
    for (const [key, kept] of this.#kept) if (kept.call === call) this.#kept.delete(key);
  }

  /** The error that a reporting callback of a call threw, if any. */
  thrown(call: number): { readonly error: unknown } | undefined {
    return this.#calls.get(call)?.thrown;
  }

  /** The original error object that a resolver threw, by the key that comes back from the worker. */
  readonly kept = (key: number): unknown => this.#kept.get(key)?.error;

  async resolve(call: number, reference: ImageReference): PromisedOutcome<WireResolved> {
    try {
      const resolver = this.#calls.get(call)?.resolve;
      return { value: resolver ? await toWireResolved(await resolver(reference), reference) : undefined };
    } catch (error) {
      return { error: this.#keep(call, error) };
    }
  }

  async pull(call: number): PromisedOutcome<Uint8Array<ArrayBuffer> | null> {
    try {
      const value = (await this.#calls.get(call)?.pull?.()) ?? null;
      return value ? transfer({ value }, [value.buffer]) : { value };
    } catch (error) {
      return { error: this.#keep(call, error) };
    }
  }

  progress(call: number, progress: Progress): boolean {
    return this.#report(call, ({ onProgress }) => onProgress?.(progress));
  }

  lost(call: number, lost: readonly LostRange[]): boolean {
    return this.#report(call, ({ onLost }) => {
      for (const range of lost) onLost?.(range);
    });
  }

  /** Calls a callback. Returns false once one of the call has thrown, and aborts the call then. */
  #report(call: number, report: (callbacks: CallCallbacks) => void): boolean {
    const registered = this.#calls.get(call);
    if (registered?.thrown) return false;
    try {
      if (registered) report(registered);
      return true;
    } catch (error) {
      registered!.thrown = { error };
      this.#abort(call);
      return false;
    }
  }

  #keep(call: number, error: unknown): WireError {
    const key = ++this.#lastKey;
    this.#kept.set(key, { call, error });
    return { kind: 'kept', key, name: 'Error', message: reasonOf(error) };
  }
}

/**
 * Converts what a resolver returned for `postMessage`. Throws TypeError for a value that cannot be cloned, and
 * {@link Qcow2Error} `changed` for a deleted file.
 */
async function toWireResolved(resolved: StoreResolved, reference: ImageReference): Promise<WireResolved> {
  // JavaScript callers may also refuse with null, as in the engine.
  if (resolved === undefined || resolved === null) return undefined;
  const file = await toWireFile(resolved);
  if (file !== null) return file;
  const source = typeof resolved === 'object' && 'format' in resolved ? await toWireFile(resolved.source) : null;
  if (source !== null) return { source, format: (resolved as { format: 'raw' | 'qcow2' }).format };
  throw new TypeError(
    `resolve() returned for ${JSON.stringify(reference.name)} a value that cannot be sent to the worker: return a ` +
      'Blob, a File, an ArrayBuffer, a Uint8Array, a URL or { url } of a web server, { source, format } with one of ' +
      'them, or undefined to refuse. A byte source of your own works with Qcow2Image.open of the package qcow2, in a ' +
      'worker of your own.',
  );
}

async function toWireFile(value: unknown): Promise<WireFile | null> {
  if (isBlob(value) && value.size === 0) await requireEmpty(value);
  if (isBlob(value) || isArrayBuffer(value) || isBytes(value)) return value;
  return isRemoteFile(value) ? wireRemoteFile(value) : null;
}
