/**
 * The flushes that separate the stages of writing, by name: what is written before one is on the medium before anything
 * that is written after it. Nothing else in this folder flushes a device. The tests of power cuts leave out one at a
 * time, to show that it is needed.
 */
import type { Done } from '../../api/device.js';
import type { WriteState } from './write-state.js';

/** Flushes a device of an image. */
export type Flush = (state: WriteState) => Done;

/** A flush for each border between two stages. */
export interface Flushes {
  /** After *mark*, before the first change. */
  marked: Flush;
  /** After the extension of untracked bitmaps was removed, before their clusters are used. */
  bitmapsDropped: Flush;
  /** After *grow*: new refcount blocks and tables, before the pointers to them. */
  grown: Flush;
  /** The data file, before the tables that say what is in it. */
  guestData: Flush;
  /** After *reserve*: data, tables and refcounts, before the entries that lead to them. */
  reserved: Flush;
  /** After *roots*: entries, before what they no longer lead to is released. */
  rooted: Flush;
  /** After *release*, before the image is said to be closed. */
  released: Flush;
  /** After *trim*, the end of an image. */
  trimmed: Flush;
  /** After the corrupt bit was set. */
  corruptMarked: Flush;
}

const image: Flush = ({ device }) => device.flush();

/** The flushes as they are. The tests of power cuts alone replace them. */
export const flushes: Flushes = {
  marked: image,
  bitmapsDropped: image,
  grown: image,
  guestData: ({ device, data }) => (data !== null && data !== device ? data.flush() : undefined),
  reserved: image,
  rooted: image,
  released: image,
  trimmed: image,
  corruptMarked: image,
};
