/** The page's side of a cursor: reads packets from the worker, one packet ahead. */
import type { SalvageOptions } from 'qcow2';
import { onAbort } from 'qcow2/internal';
import type { CursorPacket, PromisedOutcome } from '../protocol/messages.js';
import type { CallOptions, Connection } from './connection.js';

/**
 * Calls the worker to open a cursor with this number and these options. A call that waits for earlier requests has not
 * reached the worker yet.
 */
export type OpenCursor = (cursor: number, options: CallOptions) => Promise<void>;

/** A cursor in the worker. The first `next` opens it if `open` did not. */
export class RemoteCursor<Packet extends CursorPacket> {
  readonly #connection: Connection;
  readonly #id: number;
  readonly #opener: OpenCursor;
  readonly #options: Pick<SalvageOptions, 'signal' | 'onProgress' | 'onLost'>;
  #nextPacket: Promise<Packet> | null = null;
  #state: 'new' | 'open' | 'ended' = 'new';
  #aborted = false;
  /** Removes the abort listener. */
  #removeListener: () => void = () => {};

  constructor(connection: Connection, open: OpenCursor, options: SalvageOptions = {}) {
    this.#connection = connection;
    this.#id = connection.reserve();
    this.#opener = open;
    this.#options = options;
  }

  /** The next packet, or null at the end. Must not be called again before it has settled. */
  async next(): Promise<Packet | null> {
    if (this.#state === 'ended') {
      // Aborted before the end: must not look like the end.
      if (this.#aborted) this.#options.signal?.throwIfAborted();
      return null;
    }
    try {
      if (this.#state === 'new') await this.open();
      if (!this.#isOpen()) return null;
      const packet = await (this.#nextPacket ?? this.#fetch());
      if (packet === null) await this.release();
      else this.#fetchAhead();
      return packet;
    } catch (error) {
      // The original error matters more than a failed release.
      await this.release().catch(() => {});
      throw error;
    }
  }

  /** Opens the cursor now, so that errors are thrown before the first packet. */
  async open(): Promise<void> {
    this.#state = 'open';
    try {
      await this.#opener(this.#id, { ...this.#options, prompt: true, keepCallbacks: true });
    } catch (error) {
      // An abort can come just when the worker has opened it.
      await this.release().catch(() => {});
      throw error;
    }
    // Released meanwhile: the worker may not have had the cursor then.
    if (!this.#isOpen()) return this.#free();
    const { signal } = this.#options;
    if (signal !== undefined) this.#removeListener = onAbort(signal, () => this.#end());
  }

  /** Frees the cursor immediately; otherwise the worker would keep it for ever. */
  #end(): void {
    this.#aborted = true;
    this.release().catch(() => {});
  }

  /** Frees the worker's side of this cursor. A second call does nothing. */
  async release(): Promise<void> {
    const opened = this.#isOpen();
    this.#state = 'ended';
    this.#removeListener();
    if (opened) await this.#free();
  }

  #isOpen(): boolean {
    return this.#state === 'open';
  }

  async #free(): Promise<void> {
    this.#connection.forget(this.#id);
    if (this.#connection.alive) await this.#connection.call((worker) => worker.release(this.#id));
  }

  #fetch(): Promise<Packet> {
    const { signal } = this.#options;
    return this.#connection.call((worker) => worker.next(this.#id) as PromisedOutcome<Packet>, {
      signal,
      prompt: true,
      parentCall: this.#id,
    });
  }

  #fetchAhead(): void {
    if (this.#state !== 'open') return;
    this.#nextPacket = this.#fetch();
    // The call that takes this packet throws its error.
    this.#nextPacket.catch(() => {});
  }
}
