/** The page's connection to one image open in the worker: keeps its calls in order, tracks its state and closes it. */
import { type ImageInfo, isQcow2Error, Qcow2Error } from 'qcow2';
import type { BufferPool } from '../protocol/buffer-pool.js';
import type { Changed, PromisedOutcome } from '../protocol/messages.js';
import type { CallOptions, Connection, RemoteWorker } from './connection.js';
import { SendOrder } from './send-order.js';

/**
 * How long `close` waits without any response for requests not yet sent: a web server behind the image may not respond.
 * Milliseconds.
 */
const SEND_TIMEOUT_MS = 1000;

/** The connection and the number of an open image. */
export interface ImageTarget {
  readonly connection: Connection;
  /** The number of the call that opened it. */
  readonly id: number;
  readonly pool: BufferPool;
  /** True if its file is in the store, false for a Blob or a file on a web server. */
  readonly stored: boolean;
}

/** One image open in the worker. */
export class ImageChannel {
  readonly target: ImageTarget;
  readonly order: SendOrder = new SendOrder();
  readonly #ending = new AbortController();
  #info: ImageInfo;
  /** How many changes were sent, and how many of them are on the medium, or were reported as lost. */
  #changes = 0;
  #flushed = 0;
  #closing: Promise<void> | null = null;

  constructor(target: ImageTarget, info: ImageInfo) {
    this.target = target;
    this.#info = info;
  }

  /** The image's state as last received from the worker. */
  get info(): ImageInfo {
    return this.#info;
  }

  /** Aborts when the image is closed. */
  get ending(): AbortSignal {
    return this.#ending.signal;
  }

  /**
   * Calls the worker, after the requests that are not sent yet.
   *
   * @throws {@link Qcow2Error} `closed` after `close`; else as {@link Connection.call} does
   */
  async call<T>(
    send: (worker: RemoteWorker, call: number) => PromisedOutcome<T>,
    options?: CallOptions,
    id?: number,
  ): Promise<T> {
    this.requireOpen();
    return this.order.run(() => this.target.connection.call(send, options, id), options?.signal);
  }

  /** Stores the image's state that the worker sent after a change. */
  readonly changed = ({ info, fileSize }: Changed): void => {
    if (info) this.#info = info;
    else if (fileSize !== this.#info.fileSize) this.#info = { ...this.#info, fileSize };
  };

  /** Says that a change is sent, which is lost if the worker dies before a flush. */
  changing(): void {
    this.#changes++;
  }

  /**
   * Says that a flush is sent. Returns a function to call when every change before it is on the medium, or was reported
   * as lost.
   */
  flushing(): () => void {
    const until = this.#changes;
    return () => {
      this.#flushed = Math.max(this.#flushed, until);
    };
  }

  /** @throws {@link Qcow2Error} `closed` after `close`. A dead worker is reported by the call itself. */
  requireOpen(): void {
    if (this.#closing && this.target.connection.alive) throw new Qcow2Error('closed', 'The image was closed.');
  }

  /** Closes the image as `WorkerImage.close` does. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { connection, id, stored } = this.target;
    this.#ending.abort();
    const { backingFile, dataFile } = this.#info;
    const alone = backingFile === undefined && dataFile === undefined;
    // Reads of files of this origin always finish.
    await this.order.end(stored && alone ? null : SEND_TIMEOUT_MS);
    // A dead worker holds no image any more, but unflushed changes are lost.
    const { alive } = connection;
    try {
      if (alive || this.#changes > this.#flushed) await connection.call((worker) => worker.close(id));
    } catch (error) {
      // The store was closed, which flushed this image.
      if (alive || !isQcow2Error(error, 'closed')) throw error;
    } finally {
      connection.forget(id);
    }
  }
}
