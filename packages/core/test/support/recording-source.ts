/** Owns a source for tests that writes down every call, and can be told to fail or to wait. */
import type { ByteSource, Done, Transfer } from '../../src/index.js';

/** One transfer as it was asked for. */
export interface Asked {
  readonly at: number;
  readonly length: number;
}

/** A source over bytes that records its calls; asynchronous when told so. */
export class RecordingSource implements ByteSource {
  readonly size: number;
  readonly calls: Asked[][] = [];
  closed = 0;
  /** When set, the next read waits for it. */
  gate: Promise<void> | null = null;
  /** When set, the next read throws it. */
  failure: Error | null = null;
  readonly #bytes: Uint8Array;
  readonly #asynchronous: boolean;

  constructor(bytes: Uint8Array, { asynchronous = false, size = bytes.length } = {}) {
    this.#bytes = bytes;
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
  }

  #fill(transfers: readonly Transfer[]): void {
    for (const { at, bytes } of transfers) {
      bytes.fill(0);
      bytes.set(this.#bytes.subarray(at, at + bytes.length));
    }
  }
}
