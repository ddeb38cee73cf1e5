/** The worker's side of a cursor: extents, ranges or guest bytes that the page fetches one packet at a time. */
import { Qcow2Error } from 'qcow2';
import type { CursorPacket } from '../../protocol/messages.js';
import type { CallReports } from '../calls/call-reports.js';

/** Most extents or ranges of one packet. */
export const ITEMS_PER_PACKET = 4096;
/** A smaller packet is sent after this time, so that a map is drawn while it loads. Milliseconds. */
const MAX_BATCH_MS = 50;

/** The source of a cursor's packets. */
export interface Packets<Packet extends CursorPacket = CursorPacket> {
  next(): Promise<Packet | null>;
  /** Releases the source. */
  end(): Promise<void>;
}

/** An open cursor. */
export class Cursor {
  /** The number of the image it reads; its own number if it has opened that image itself. */
  readonly image: number;
  readonly #packets: Packets;
  readonly #reports: CallReports;
  readonly #controller: AbortController;
  #released = false;

  constructor(image: number, packets: Packets, reports: CallReports, controller: AbortController) {
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

  /** The source may notice an abort late: it returns what the engine has found already. */
  #requireLive(): void {
    // A cancelled stream looks ended. Taken for the end of the disk, the rest would be silently missing.
    if (this.#released) throw new Qcow2Error('closed', 'The image was closed while it was being read.');
    this.#controller.signal.throwIfAborted();
  }

  /** Aborts the pending read. */
  abort(): void {
    this.#controller.abort();
  }

  /** Aborts the cursor and releases its source. */
  async release(): Promise<void> {
    this.#released = true;
    this.#controller.abort();
    // The abort above may make this reject.
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

/** The chunks of a stream, each in its own transferable buffer. */
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
