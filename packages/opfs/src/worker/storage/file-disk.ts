/** Owns a file as if it were a disk of its own: what copies a disk then copies an image's file as it is. */
import type { ByteSource, Extent, OperationOptions } from 'qcow2';
import { progressOf } from 'qcow2/internal';
import type { Pages } from '../cursors/cursor.js';
import type { ExportedDisk } from '../export/raw-export.js';

/** What a page takes. Bytes. */
const PAGE = 1024 * 1024;

/** The bytes of a source as a disk that is all data. */
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

/** The bytes of a source in order, each page in a buffer of its own that can be transferred. */
export function filePages(
  source: ByteSource,
  { signal, onProgress }: OperationOptions,
): Pages<Uint8Array<ArrayBuffer>> {
  const { size } = source;
  const progress = progressOf({ onProgress }, 'export', size);
  let at = 0;
  return {
    async next() {
      const page = new Uint8Array(Math.min(PAGE, size - at));
      if (page.length === 0) return null;
      await source.read([{ at, bytes: page }], signal);
      at += page.length;
      progress(at);
      return page;
    },
    end: async () => {},
  };
}
