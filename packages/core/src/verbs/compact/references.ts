/** Compares what was found with the image as it is now, and updates what the image keeps in memory. */
import type { MetadataKind } from '../../engine/allocation/metadata-map.js';
import type { Steps } from '../../engine/async/steps.js';
import { loadBlockOf } from '../../engine/write/find-clusters.js';
import type { Structure } from '../../engine/write/structure.js';
import { l2TableOffset } from '../../format/entries.js';
import { getHost, setHost } from '../../format/host-words.js';
import type { Units } from './units.js';
import type { Words } from './words.js';

/** The tables but L2 tables that contain words, by kind of metadata. */
const OTHER_TABLES: readonly MetadataKind[] = ['L1 table', "snapshot's L1 table", 'bitmap table'];

/** The words of one batch. */
export class References {
  readonly #structure: Structure;
  readonly #words: Words;
  readonly #found: Pick<Units, 'snapshotTables' | 'activeTables'>;
  /** How often each L2 table is referred to, by host offset. */
  readonly #counts = new Map<number, number>();

  constructor(structure: Structure, words: Words, found: Pick<Units, 'snapshotTables' | 'activeTables'>) {
    this.#structure = structure;
    this.#words = words;
    this.#found = found;
  }

  /**
   * How many references the words count for, with the refcounts of the tables that they are in: a table that two
   * snapshots share refers to its clusters twice. Null when one of them is not in a table any more, or `matches` says
   * that it does not refer to the same place any more.
   */
  *count(offsets: readonly number[], matches: (view: DataView, at: number) => boolean): Steps<number | null> {
    let sum = 0;
    for (const offset of offsets) {
      if (!this.#words.get(offset, matches)) return null;
      const references = yield* this.#referencesOf(offset);
      if (references === 0) return null;
      sum += references;
    }
    return sum;
  }

  /**
   * The refcount of an L2 table that contains the word; 1 for another table. 0 when it is in no table, or in one whose
   * refcount is not the number of L1 entries that refer to it now: its clusters would lose references that others have.
   */
  *#referencesOf(offset: number): Steps<number> {
    const { state, layer } = this.#structure;
    const { clusterSize } = layer.geometry;
    const table = offset - (offset % clusterSize);
    const kind = state.metadata.kindOf(table / clusterSize);
    if (kind !== undefined && OTHER_TABLES.includes(kind)) return 1;
    const known = this.#counts.get(table);
    if (known !== undefined) return known;
    const entries = this.#l1Entries(table, kind === 'L2 table');
    const loaded = entries > 0 && (yield* loadBlockOf(state, table / clusterSize));
    const count = loaded && state.refcounts.count(table / clusterSize) === entries ? entries : 0;
    this.#counts.set(table, count);
    return count;
  }

  /** How many L1 entries refer to an L2 table now. `isActive` says that the active disk may have it. */
  #l1Entries(table: number, isActive: boolean): number {
    const { l1 } = this.#structure.state;
    const index = isActive ? this.#found.activeTables.get(table) : undefined;
    const active = index !== undefined && index * 8 < l1.byteLength && l2TableOffset(l1, index) === table ? 1 : 0;
    return active + (this.#found.snapshotTables.get(table) ?? 0);
  }
}

/** Changes words on the medium with the next write-back, and in every table in memory. */
export function switchWords(structure: Structure, words: Words): void {
  const { layer, state } = structure;
  const { clusterSize } = layer.geometry;
  for (const transfer of words.transfers) state.words.push(transfer);
  for (const { offset, high, low } of words.changes()) {
    const table = offset - (offset % clusterSize);
    const put = (view: DataView, at: number) => {
      view.setUint32(at, high);
      view.setUint32(at + 4, low);
    };
    const cached = layer.tables.find(table);
    if (cached !== undefined) put(cached, offset - table);
    // A load of it that a reader has begun, and does not wait for any more, would bring the old word.
    else layer.tables.forget(table);
    for (const view of layer.views) view.tables.forget(table);
    if (offset >= state.l1At && offset < state.l1At + state.l1.byteLength) put(state.l1, offset - state.l1At);
    for (const { bits } of state.bitmaps?.entries ?? []) {
      const { tableOffset: at } = bits.bitmap;
      if (offset >= at && offset < at + bits.table.byteLength) put(bits.table, offset - at);
    }
  }
}

/** Updates the open disks of snapshots, whose L2 tables have moved: from each host offset to that of the map. */
export function moveInViews({ layer }: Structure, moved: ReadonlyMap<number, number>): void {
  for (const { tables } of layer.views) {
    for (const from of moved.keys()) tables.forget(from);
    for (let at = 0; at < tables.l1.byteLength; at += 8) {
      const to = moved.get(getHost(tables.l1, at));
      if (to !== undefined) setHost(tables.l1, at, to);
    }
  }
}
