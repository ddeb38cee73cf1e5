/**
 * Moves tables of consecutive clusters. The copy is counted and on the medium before the one word that refers to the
 * table is switched, and the old clusters are released after that.
 */

import type { Steps } from '../../engine/async/steps.js';
import { isSingle, loadBlockOf, takeConsecutive } from '../../engine/write/find-clusters.js';
import type { Structure } from '../../engine/write/structure.js';
import { freedOnFailure } from '../../engine/write/taken-clusters.js';
import { writeBack } from '../../engine/write/write-back.js';
import { viewOf } from '../../format/bytes.js';
import { EXTENSION } from '../../format/extensions.js';
import { HEADER_SECTOR_BYTES, setL1Table, setSnapshotTable } from '../../format/header-fields.js';
import { setHost } from '../../format/host-words.js';
import { type Moved, readClusters, writeClusters } from './move-clusters.js';
import { switchWords } from './references.js';
import { type Table, wordOf } from './tables.js';
import { Words } from './words.js';

/**
 * Moves a table to the first free clusters from the cluster `from` on that are before it; also to some behind it, when
 * there is space before it that is too small. Returns nothing moved when there is none. It must follow
 * `settle`, with the exclusive lock.
 */
export function* moveTable(structure: Structure, table: Table, from: number): Steps<Moved> {
  const { state, layer } = structure;
  const { clusterSize } = layer.geometry;
  const word = wordOf(structure, table);
  const place = word === null ? null : yield* placeFor(structure, table, from);
  if (word === null || place === null || !(yield* isAlone(structure, table))) return { copied: 0, updated: 0 };
  const clustersFrom = (first: number) =>
    Array.from({ length: table.clusters }, (_, step) => first + step * clusterSize);
  // Before clusters are taken, which a read that fails would leave as leaks.
  const bytes = new Uint8Array(table.clusters * clusterSize);
  yield* readClusters(structure, clustersFrom(table.host), bytes);
  const words = yield* Words.read(structure, [word]);
  const to = yield* takeConsecutive(state, table.clusters, place / clusterSize);
  state.metadata.add(table.kind, to, table.clusters * clusterSize);
  yield* writeClusters(structure, clustersFrom(to), bytes);
  yield* freedOnFailure(state, to, table.clusters, writeBack(state, 'check'));
  switchTable(structure, table, words, word, to);
  state.space.retire({ host: table.host, length: table.clusters * clusterSize });
  yield* writeBack(state, 'check');
  return { copied: table.clusters, updated: 1 };
}

/**
 * Where a run of `clusters` that is at `host` can move from the cluster `from` on: to a free run before it. If there is
 * none, but free clusters are before it, behind it: then the next round moves it to where they begin. Otherwise, and
 * where the refcount table would have to grow for the place behind, null.
 */
export function* placeFor(
  { state, layer }: Structure,
  { host, clusters }: Pick<Table, 'host' | 'clusters'>,
  from: number,
): Steps<number | null> {
  const { clusterSize } = layer.geometry;
  const { refcounts } = state;
  const { perBlock } = refcounts;
  const own = host / clusterSize;
  let start = from;
  for (let at = from; at < own; ) {
    const end = Math.min(own, at - (at % perBlock) + perBlock);
    if (!(yield* loadBlockOf(state, at))) at = end;
    else {
      const used = refcounts.nextUsed(at, Math.min(end, start + clusters));
      if (used > at) at = used;
      else at = start = refcounts.nextFree(at, end);
    }
    if (at - start >= clusters) return start * clusterSize;
  }
  const behind = own + clusters;
  const isCounted = Math.floor((behind + clusters - 1) / perBlock) < refcounts.tableEntries;
  return start < own && isCounted ? behind * clusterSize : null;
}

/** True if every cluster of a table has one reference: the table's. */
function* isAlone({ state, layer }: Structure, { host, clusters }: Table): Steps<boolean> {
  const { clusterSize } = layer.geometry;
  for (let at = host; at < host + clusters * clusterSize; at += clusterSize) {
    if (!(yield* isSingle(state, at))) return false;
  }
  return true;
}

/** Makes the one word refer to the new place: with the next write-back on the medium, and at once in memory. */
function switchTable(structure: Structure, table: Table, words: Words, word: number, to: number): void {
  const { layer, state } = structure;
  const { header } = layer;
  switch (table.kind) {
    case 'L1 table':
      state.l1At = to;
      switchHeader(structure, (sector) => setL1Table(sector, to, header.l1Size));
      break;
    case 'snapshot table':
      switchHeader(structure, (sector) => setSnapshotTable(sector, to, header.snapshotCount));
      break;
    default:
      switchWord(structure, table, words, word, to);
  }
}

function switchHeader({ state }: Structure, edit: (sector: DataView) => void): void {
  const sector = state.header.change(edit);
  if (sector !== null) state.words.push(sector);
}

function switchWord(structure: Structure, { kind, index, host }: Table, words: Words, word: number, to: number): void {
  const { layer, state } = structure;
  words.change(word, (view, at) => setHost(view, at, to));
  switchWords(structure, words);
  if (kind === "snapshot's L1 table") {
    const snapshots = layer.snapshots.map((snapshot, other) =>
      other === index ? { ...snapshot, l1TableOffset: to } : snapshot,
    );
    for (const each of [layer, ...layer.views]) each.snapshots = snapshots;
  } else if (kind === 'bitmap table') {
    const bitmap = { ...layer.bitmaps[index]!, tableOffset: to };
    layer.bitmaps = layer.bitmaps.map((other, at) => (at === index ? bitmap : other));
    const tracked = state.bitmaps?.entries.find((entry) => entry.index === index);
    tracked?.bits.replaceTable(bitmap, tracked.bits.table);
  } else if (kind === 'bitmap directory') {
    directoryMoved(structure, words, to);
    state.bitmaps?.directoryMoved(to - host);
  }
}

/** Enters the new offset of the bitmap directory in the extension in memory, and in sector 0 where it is there. */
function directoryMoved({ layer, state }: Structure, words: Words, to: number): void {
  layer.extensions = layer.extensions.map((extension) => {
    if (extension.type !== EXTENSION.bitmaps) return extension;
    const data = extension.data.slice();
    setHost(viewOf(data), 16, to);
    return { ...extension, data };
  });
  for (const transfer of words.transfers) if (transfer.at < HEADER_SECTOR_BYTES) state.header.include(transfer);
}
