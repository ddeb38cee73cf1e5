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
  /** After the header refers to another L1 table, before the clusters of the old one are released. */
  l1Switched: Flush;
  /** The data file, before the header has the new size. */
  dataFileResized: Flush;
  /** After bitmaps were marked in use that do not follow the guest's writes, before the disk is resized. */
  bitmapsMarked: Flush;
  /** After the header has another size, before anything past the end of the disk is given up. */
  sizeSwitched: Flush;
  /** After a bitmap's directory entry has the new offset, before it has the new length. */
  bitmapTableSwitched: Flush;
  /** After bitmaps were resized, before they are no longer in use and clusters of bits are released. */
  bitmapsResized: Flush;
  /** After the header refers to another snapshot table, before anything of the old one is released. */
  snapshotsSwitched: Flush;
  /** After the header leads to the disk of a snapshot, before anything of the old disk is released. */
  snapshotApplied: Flush;
  /** After the refcounts of what only a deleted snapshot used have fallen, before COPIED says so. */
  countsLowered: Flush;
  /** After the end of the file was cut. */
  fileCut: Flush;
}

const image: Flush = ({ device }) => device.flush();
const dataFile: Flush = ({ device, data }) => (data !== null && data !== device ? data.flush() : undefined);

/** The flushes as they are. The tests of power cuts alone replace them. */
export const flushes: Flushes = {
  marked: image,
  bitmapsDropped: image,
  grown: image,
  guestData: dataFile,
  reserved: image,
  rooted: image,
  released: image,
  trimmed: image,
  corruptMarked: image,
  l1Switched: image,
  dataFileResized: dataFile,
  bitmapsMarked: image,
  sizeSwitched: image,
  bitmapTableSwitched: image,
  bitmapsResized: image,
  snapshotsSwitched: image,
  snapshotApplied: image,
  countsLowered: image,
  fileCut: image,
};
