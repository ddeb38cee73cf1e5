/** The worker's end of a cursor: extents, ranges or guest bytes that the page fetches one packet at a time. */
import { Qcow2Error } from 'qcow2';
import type { CursorPacket } from '../../protocol/messages.js';
import type { ProgressReports } from '../calls/progress-reports.js';

/** How many extents or ranges cross in one hop. */
export const ITEMS_PER_PACKET = 4096;
/** A packet with fewer items than fit is sent after this long, so that a map is drawn while it loads. Milliseconds. */
const MAX_BATCH_MS = 50;

/** Where a cursor's packets come from. */
export interface Packets<Packet extends CursorPacket = CursorPacket> {
  next(): Promise<Packet | null>;
  /** Frees what stands behind them. */
  end(): Promise<void>;
}

/** A cursor that is open. */
export class Cursor {
  /** The image it reads; its own number when it reads one that nothing else uses. */
  readonly image: number;
  readonly #packets: Packets;
  readonly #reports: ProgressReports;
  readonly #controller: AbortController;
  #released = false;

  constructor(image: number, packets: Packets, reports: ProgressReports, controller: AbortController) {
    this.image = image;
    this.#packets = packets;
    this.#reports = reports;
    this.#controller = controller;
  }

  /** The next packet, or null at the end. */
  async next(): Promise<CursorPacket> {
    this.#requireLive();
    const packet = await this.#packets.next();
    await this.#reports.delivered();
    this.#requireLive();
    return packet;
  }

  /** The packets' source may notice late: it returns what the engine has found already. */
  #requireLive(): void {
    // Cut off, a stream says that it has ended: taken for the end of the disk, the rest would be missing without a
    // word.
    if (this.#released) throw new Qcow2Error('closed', 'The image was closed while it was being read.');
    this.#controller.signal.throwIfAborted();
  }

  /** Stops what the cursor waits for. */
  abort(): void {
    this.#controller.abort();
  }

  /** Stops it, and frees what stands behind it. */
  async release(): Promise<void> {
    this.#released = true;
    this.#controller.abort();
    // It was aborted just now: that it says so is no news.
    await this.#packets.end().catch(() => {});
  }
}

/** The extents of a map, or the ranges of a bitmap, packed. `now` is a clock in milliseconds. */
export function itemPackets<Item>(
  items: AsyncIterable<Item>,
  pack: (packet: readonly Item[]) => Float64Array<ArrayBuffer>,
  now: () => number = () => performance.now(),
): Packets {
  const iterator = items[Symbol.asyncIterator]();
  return {
    async next() {
      const packet: Item[] = [];
      const deadline = now() + MAX_BATCH_MS;
      while (packet.length < ITEMS_PER_PACKET) {
        const item = await iterator.next();
        if (item.done) break;
        packet.push(item.value);
        if (now() > deadline) break;
      }
      return packet.length > 0 ? pack(packet) : null;
    },
    async end() {
      await iterator.return?.();
    },
  };
}

/** The chunks of a stream, each in a buffer of its own that can be transferred. */
export function bytePackets(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Packets<Uint8Array<ArrayBuffer>> {
  const reader = stream.getReader();
  return {
    async next() {
      const { done, value } = await reader.read();
      if (done) return null;
      return value.byteLength === value.buffer.byteLength ? value : value.slice();
    },
    end: () => reader.cancel(),
  };
}
