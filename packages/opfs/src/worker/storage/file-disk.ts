/** Presents a file as a disk, so that the code that copies a disk can copy an image's file unchanged. */
import type { ByteSource, Extent, OperationOptions } from 'qcow2';
import { progressOf } from 'qcow2/internal';
import type { Packets } from '../cursors/cursor.js';
import type { ExportedDisk } from '../export/raw-export.js';

/** Size of a packet. Bytes. */
const PACKET_BYTES = 1024 * 1024;

/** The bytes of a source as a disk with a single data extent. */
export function fileDisk(source: ByteSource): ExportedDisk {
  const { size } = source;
  return {
    size,
    async *map(): AsyncGenerator<Extent, undefined, undefined> {
      yield { start: 0, length: size, depth: 0, present: true, zero: false, data: true, compressed: false, offset: 0 };
    },
    read: async (offset, into, options) => source.read([{ at: offset, bytes: into }], options?.signal),
  };
}

/** The bytes of a source in order, each packet in its own transferable buffer. */
export function filePackets(
  source: ByteSource,
  { signal, onProgress }: OperationOptions,
): Packets<Uint8Array<ArrayBuffer>> {
  const { size } = source;
  const progress = progressOf({ onProgress }, 'export', size);
  let at = 0;
  return {
    async next() {
      const packet = new Uint8Array(Math.min(PACKET_BYTES, size - at));
      if (packet.length === 0) return null;
      await source.read([{ at, bytes: packet }], signal);
      at += packet.length;
      progress(at);
      return packet;
    },
    end: async () => {},
  };
}
