/** Lays out persistent bitmaps in an image under construction: directory, tables and bits. */
import { put } from './big-endian.js';
import type { Layout } from './image-layout.js';

/** A bitmap whose table has one entry; granularity 512. */
export interface BitmapData {
  readonly name: string;
  /** Bit 0: in use, bit 1: auto. */
  readonly flags: number;
  /** The bits of the only entry, in a cluster of their own; null for an entry that says "all clear". */
  readonly bits: Uint8Array | null;
}

const BITMAPS_EXTENSION = 0x23852875;

/** Lays out the bitmaps, and makes the header extension that leads to them; none without bitmaps. */
export function layBitmaps(layout: Layout, bitmaps: readonly BitmapData[] = []): { type: number; data: Uint8Array }[] {
  if (bitmaps.length === 0) return [];
  const entries = bitmaps.map((bitmap) => {
    const table = new Uint8Array(8);
    if (bitmap.bits !== null) {
      const at = layout.take(layout.clusterSize);
      layout.place(at, bitmap.bits);
      put(table, 0, 8, at);
    }
    const tableAt = layout.take(table.length);
    layout.place(tableAt, table);
    return directoryEntry(bitmap, tableAt);
  });
  const length = entries.reduce((sum, entry) => sum + entry.length, 0);
  const directory = layout.take(length);
  let at = directory;
  for (const entry of entries) {
    layout.place(at, entry);
    at += entry.length;
  }
  const data = new Uint8Array(24);
  put(data, 0, 4, bitmaps.length);
  put(data, 8, 8, length);
  put(data, 16, 8, directory);
  return [{ type: BITMAPS_EXTENSION, data }];
}

function directoryEntry({ name, flags }: BitmapData, tableAt: number): Uint8Array {
  const bytes = new TextEncoder().encode(name);
  const entry = new Uint8Array(Math.ceil((24 + bytes.length) / 8) * 8);
  put(entry, 0, 8, tableAt);
  put(entry, 8, 4, 1);
  put(entry, 12, 4, flags);
  put(entry, 16, 1, 1);
  put(entry, 17, 1, 9);
  put(entry, 18, 2, bytes.length);
  entry.set(bytes, 24);
  return entry;
}
