/** The page's end of one image that is open in the worker: its calls in order, its state, and its end. */
import { type ImageInfo, isQcow2Error, Qcow2Error } from 'qcow2';
import type { BufferPool } from '../protocol/buffer-pool.js';
import type { Answer, Changed } from '../protocol/messages.js';
import type { CallOptions, Connection, RemoteWorker } from './connection.js';
import { SendOrder } from './send-order.js';

/**
 * How long closing waits, while no result comes, for requests that wait to be sent: a web server behind the image may
 * be silent. Milliseconds.
 */
const SEND_TIMEOUT_MS = 1000;

/** Where an image is open, and under which number. */
export interface ImagePlace {
  readonly connection: Connection;
  /** The number of the call that opened it. */
  readonly id: number;
  readonly pool: BufferPool;
  /** Whether its file is one of the store, and not a web server's or a person's. */
  readonly stored: boolean;
}

/** One image that is open in the worker. */
export class ImageChannel {
  readonly place: ImagePlace;
  readonly order: SendOrder = new SendOrder();
  readonly #ending = new AbortController();
  #info: ImageInfo;
  /** Something may have been changed since the last flush: it is lost when the worker dies. */
  #unflushed = false;
  #closing: Promise<void> | null = null;

  constructor(place: ImagePlace, info: ImageInfo) {
    this.place = place;
    this.#info = info;
  }

  /** What the worker last said of the image. */
  get info(): ImageInfo {
    return this.#info;
  }

  /** Aborts when the image is closed. */
  get ending(): AbortSignal {
    return this.#ending.signal;
  }

  /**
   * Calls the worker, after the requests that wait to be sent.
   *
   * @throws {@link Qcow2Error} `closed` after `close`; else as {@link Connection.call} does
   */
  async call<T>(
    send: (worker: RemoteWorker, call: number) => Answer<T>,
    options?: CallOptions,
    id?: number,
  ): Promise<T> {
    this.requireOpen();
    return this.order.run(() => this.place.connection.call(send, options, id), options?.signal);
  }

  /** Keeps what the worker says of the image after a change. */
  readonly changed = ({ info, fileSize }: Changed): void => {
    if (info) this.#info = info;
    else if (fileSize !== this.#info.fileSize) this.#info = { ...this.#info, fileSize };
  };

  /** Says whether a worker that dies from now on takes changes with it. */
  setUnflushed(unflushed: boolean): void {
    this.#unflushed = unflushed;
  }

  /** @throws {@link Qcow2Error} `closed` after `close`; a worker that is dead is what a call itself reports */
  requireOpen(): void {
    if (this.#closing && this.place.connection.alive) throw new Qcow2Error('closed', 'The image was closed.');
  }

  /** Closes the image as `WorkerImage.close` does. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { connection, id, stored } = this.place;
    this.#ending.abort();
    const { backingFile, dataFile } = this.#info;
    const alone = backingFile === undefined && dataFile === undefined;
    // Reads of files of this origin always end.
    await this.order.end(stored && alone ? null : SEND_TIMEOUT_MS);
    // A worker that is gone holds nothing any more, but what was not flushed went with it.
    const { alive } = connection;
    try {
      if (alive || this.#unflushed) await connection.call((worker) => worker.close(id));
    } catch (error) {
      // The store was closed, and flushed this image.
      if (alive || !isQcow2Error(error, 'closed')) throw error;
    } finally {
      connection.forget(id);
    }
  }
}
