/** A source over bytes that records its calls, and fails or waits where the test says so. */
import type { ByteSource, Done, Transfer } from '../../src/index.js';

/** One transfer of a call. */
export interface RecordedRead {
  readonly at: number;
  readonly length: number;
}

/** What a source does besides reading its bytes at once. */
export interface RecordingOptions {
  readonly asynchronous?: boolean;
  readonly size?: number;
  readonly closeFailure?: Error;
}

/** A source over bytes that records its calls. */
export class RecordingSource implements ByteSource {
  readonly size: number;
  readonly calls: RecordedRead[][] = [];
  /** How often it was closed. */
  closed = 0;
  /** When set, the next read waits for it. */
  gate: Promise<void> | null = null;
  /** When set, the next read throws it. */
  failure: Error | null = null;
  readonly #bytes: Uint8Array;
  readonly #asynchronous: boolean;
  readonly #closeFailure: Error | null;

  /** With `asynchronous` it promises; with `closeFailure` that is thrown when it is closed. */
  constructor(bytes: Uint8Array, options: RecordingOptions = {}) {
    const { asynchronous = false, size = bytes.length, closeFailure = null } = options;
    this.#bytes = bytes;
    this.#closeFailure = closeFailure;
    this.#asynchronous = asynchronous;
    this.size = size;
  }

  read(transfers: readonly Transfer[], signal?: AbortSignal): Done {
    signal?.throwIfAborted();
    this.calls.push(transfers.map(({ at, bytes }) => ({ at, length: bytes.length })));
    if (this.failure !== null) throw this.failure;
    if (!this.#asynchronous) return this.#fill(transfers);
    return (this.gate ?? Promise.resolve()).then(() => {
      signal?.throwIfAborted();
      this.#fill(transfers);
    });
  }

  close(): void {
    this.closed++;
    if (this.#closeFailure !== null) throw this.#closeFailure;
  }

  #fill(transfers: readonly Transfer[]): void {
    for (const { at, bytes } of transfers) {
      bytes.fill(0);
      bytes.set(this.#bytes.subarray(at, at + bytes.length));
    }
  }
}
