/** A source that cannot read some places of its bytes, as a disk with bad sectors, and counts its calls. */
import { type ByteSource, type Done, Qcow2Error, type Transfer } from '../../src/index.js';

/** Host bytes that cannot be read. */
export interface BadPlace {
  readonly at: number;
  readonly length: number;
}

/** Throws `io` for a batch that touches a bad place; rejects with it when `asynchronous`. */
export class SourceWithBadPlaces implements ByteSource {
  readonly size: number;
  /** How often each bad place was requested. */
  readonly refused: number[];
  calls = 0;
  readonly #bytes: Uint8Array;
  readonly #bad: readonly BadPlace[];
  readonly #asynchronous: boolean;

  constructor(bytes: Uint8Array, bad: readonly BadPlace[], asynchronous: boolean) {
    this.size = bytes.length;
    this.refused = bad.map(() => 0);
    this.#bytes = bytes;
    this.#bad = bad;
    this.#asynchronous = asynchronous;
  }

  read(transfers: readonly Transfer[], signal?: AbortSignal): Done {
    if (transfers.length > 0) this.calls++;
    if (!this.#asynchronous) return this.#fill(transfers);
    return Promise.resolve().then(() => {
      signal?.throwIfAborted();
      this.#fill(transfers);
    });
  }

  #fill(transfers: readonly Transfer[]): void {
    for (const { at, bytes } of transfers) {
      this.#bad.forEach((bad, index) => {
        if (at >= bad.at + bad.length || bad.at >= at + bytes.length) return;
        this.refused[index]!++;
        throw new Qcow2Error('io', `The file cannot be read at ${bad.at}.`, { what: 'file', at: bad.at });
      });
      const there = this.#bytes.subarray(at, at + bytes.length);
      bytes.set(there);
      bytes.fill(0, there.length);
    }
  }
}
