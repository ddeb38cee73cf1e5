/**
 * Reads and writes one open image from the page: splits requests into messages, which the worker carries out in order.
 */
import { transfer } from 'comlink';
import { Qcow2Error, type Transfer } from 'qcow2';
import { fixedTransfers, onAbort, put, requireInside, requireIntact } from 'qcow2/internal';
import type { PromisedOutcome, Written } from '../protocol/messages.js';
import type { RemoteWorker } from './connection.js';
import type { ImageChannel } from './image-channel.js';
import { type PiecePart, planMessages } from './message-plan.js';
import {
  detachPieces,
  isSharedMemory,
  type OutgoingBytes,
  type OutgoingPiece,
  outgoing,
  type WriteOptions,
} from './outgoing-bytes.js';

/** A buffer to fill. */
interface ReadTarget extends OutgoingPiece {
  /** True if its bytes come back in the response. Those of shared memory do not. */
  readonly isCopied: boolean;
}

/** State of one read. */
interface ReadRun {
  readonly signal: AbortSignal | undefined;
  /**
   * Reject immediately on an abort. Not for shared memory, which the worker must no longer write to when the caller
   * gets it back.
   */
  readonly prompt: boolean;
}

/** The reads and writes of one image. */
export class ImageTransfers {
  readonly #channel: ImageChannel;

  constructor(channel: ImageChannel) {
    this.#channel = channel;
  }

  /** Fills every buffer with guest bytes from its offset. Throws as `WorkerImage.read` does. */
  async read(transfers: readonly Transfer[], signal: AbortSignal | undefined): Promise<void> {
    const targets = this.#checked(transfers).map(
      (piece): ReadTarget => ({ ...piece, isCopied: !isSharedMemory(piece.bytes) }),
    );
    const messages = planMessages(targets.map(({ length }) => length));
    const run = { signal, prompt: targets.every(({ isCopied }) => isCopied) };
    const { order } = this.#channel;
    if (messages.length === 1) await order.run(() => this.#readMessage(targets, messages[0]!, run), signal);
    else await order.runExclusive(() => this.#readMessages(targets, messages, run), signal);
    targets.forEach(({ bytes, length }, index) => {
      requireIntact(bytes, length, nameOf(transfers, index));
    });
  }

  /** Writes all bytes to their offsets, in order. Throws as `WorkerImage.write` does. */
  write(transfers: readonly Transfer[], options: WriteOptions): Promise<void> {
    const { order, target } = this.#channel;
    const given = this.#checked(transfers);
    const pieces = options.transfer ? detachPieces(given) : given;
    const messages = planMessages(pieces.map(({ length }) => length));
    if (messages.length === 1) {
      const message = outgoing(pieces, options, target.pool);
      return order.run(() => this.#writeMessage(message));
    }
    // A buffer can be transferred with one message only. These pieces are split over several, so what is not shared is
    // copied.
    const sends = messages.map((parts) => (): Promise<void> => {
      const part = parts.map(({ index, from, length }) => {
        const { at, bytes, length: whole } = pieces[index]!;
        requireIntact(bytes, whole, nameOf(transfers, index));
        return { at: at + from, bytes: bytes.subarray(from, from + length) };
      });
      return this.#writeMessage(outgoing(part, {}, target.pool));
    });
    return order.runExclusive(() => order.sendAll(sends, false));
  }

  /**
   * The transfers of a batch with their lengths. Refuses what the worker would refuse, before any part is sent.
   *
   * @throws as `fixedTransfers` and `requireInside` do.
   */
  #checked(transfers: readonly Transfer[]): OutgoingPiece[] {
    const { virtualSize } = this.#channel.info;
    const pieces = fixedTransfers(transfers);
    for (const { at, length } of pieces) requireInside(at, length, virtualSize);
    return pieces;
  }

  async #writeMessage({ pieces, packed, moved }: OutgoingBytes): Promise<void> {
    const { connection, id, pool } = this.#channel.target;
    const send = (worker: RemoteWorker, call: number): PromisedOutcome<Written> =>
      worker.write(call, id, transfer(pieces, moved), packed);
    const written = await connection.call(send).catch((error: unknown) => {
      // The buffer is detached unless the message could not be sent.
      if (packed) pool.give(packed);
      throw error;
    });
    this.#channel.changed(written);
    if (written.spare) pool.give(written.spare);
  }

  async #readMessages(targets: readonly ReadTarget[], messages: readonly PiecePart[][], run: ReadRun): Promise<void> {
    // The worker may still carry out a message that was abandoned because another failed.
    const failed = new AbortController();
    const { promise: closed, end } = this.#untilClosed();
    const sends = messages.map((parts) => (): Promise<void> => {
      const filled = this.#readMessage(targets, parts, run, failed.signal);
      return run.prompt ? Promise.race([closed, filled]) : filled;
    });
    try {
      await this.#channel.order.sendAll(sends, run.prompt);
    } catch (error) {
      failed.abort();
      throw error;
    } finally {
      end();
    }
  }

  /** Fills parts of the targets with one message. After `failed` has aborted nothing is filled. */
  async #readMessage(
    targets: readonly ReadTarget[],
    parts: readonly PiecePart[],
    run: ReadRun,
    failed?: AbortSignal,
  ): Promise<void> {
    const { connection, id, pool } = this.#channel.target;
    const copied = parts.filter(({ index }) => targets[index]!.isCopied);
    const total = copied.reduce((sum, { length }) => sum + length, 0);
    const spare = total > 0 ? (pool.take(total) ?? null) : null;
    const pieces = parts.map(({ index, from, length }) => {
      const { at, bytes, isCopied } = targets[index]!;
      return { at: at + from, length, shared: isCopied ? undefined : bytes.subarray(from, from + length) };
    });
    const send = (worker: RemoteWorker, call: number): PromisedOutcome<ArrayBuffer | null> =>
      worker.read(call, id, pieces, spare && transfer(spare, [spare]));
    const response = await connection.call(send, run).catch((error: unknown) => {
      // The buffer is detached unless the message could not be sent.
      if (spare) pool.give(spare);
      throw error;
    });
    if (!response) return;
    let at = 0;
    for (const { index, from, length } of failed?.aborted ? [] : copied) {
      put(targets[index]!.bytes, from, new Uint8Array(response, at, length));
      at += length;
    }
    pool.give(response);
  }

  /** A promise that rejects when this image is closed. `end` removes its listener. */
  #untilClosed(): { promise: Promise<never>; end: () => void } {
    let end = (): void => {};
    const promise = new Promise<never>((_, reject) => {
      end = onAbort(this.#channel.ending, () => reject(new Qcow2Error('closed', 'The image was closed.')));
    });
    promise.catch(() => {});
    return { promise, end };
  }
}

/** The name of a buffer of a batch in error messages. */
function nameOf(transfers: readonly Transfer[], index: number): string | undefined {
  return transfers.length === 1 ? undefined : `Buffer ${index} of the batch`;
}
