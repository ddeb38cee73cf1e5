/**
 * Moves clusters that move by themselves: guest data, L2 tables, bits of bitmaps. The copy is counted and on the medium
 * before a word refers to it, and the old cluster is released after every word refers to the copy.
 */
import type { Steps } from '../../engine/async/steps.js';
import { findClustersBelow, loadBlockOf } from '../../engine/write/find-clusters.js';
import type { Structure } from '../../engine/write/structure.js';
import { writeBack } from '../../engine/write/write-back.js';
import { getHost, setHost } from '../../format/host-words.js';
import { adjacentTransfers } from '../adjacent-transfers.js';
import { moveInViews, References, switchWords } from './references.js';
import type { MovedCluster, Units } from './units.js';
import { Words } from './words.js';

/** A cluster that moves, its references, and its new host offset. */
interface Move {
  readonly unit: MovedCluster;
  readonly references: number;
  to: number;
}

/** What a batch has done. */
export interface Moved {
  /** Clusters that were copied, and words that were changed. */
  readonly copied: number;
  readonly updated: number;
}

/**
 * Moves clusters, given with the highest first, to free clusters before the cluster `limit`. Those of which a reference
 * is not known stay. `buffer` has room for all of them. It must follow `settle`, with the exclusive lock.
 */
export function* moveClusters(
  structure: Structure,
  units: readonly MovedCluster[],
  found: Units,
  limit: number,
  buffer: Uint8Array,
): Steps<Moved> {
  const { state } = structure;
  const words = yield* Words.read(
    structure,
    units.flatMap((unit) => unit.words),
  );
  const known = yield* knownClusters(structure, units, new References(structure, words, found));
  const free = yield* findClustersBelow(state, known.length, limit);
  const moves = known.slice(0, free).sort((a, b) => a.unit.host - b.unit.host);
  if (moves.length === 0) return { copied: 0, updated: 0 };
  // Before clusters are taken, which a read that fails would leave as leaks.
  yield* readClusters(
    structure,
    moves.map(({ unit }) => unit.host),
    buffer,
  );
  for (const move of moves) takePlace(structure, move);
  yield* writeClusters(
    structure,
    moves.map(({ to }) => to),
    buffer,
  );
  let updated = 0;
  for (const { unit, to } of moves) {
    for (const word of unit.words) words.change(word, (view, at) => setHost(view, at, to));
    updated += unit.words.length;
  }
  switchWords(structure, words);
  tablesMoved(structure, moves);
  const { clusterSize } = structure.layer.geometry;
  for (const { unit, references } of moves) {
    state.space.retire({ host: unit.host, length: clusterSize }, references);
  }
  yield* writeBack(state, 'check');
  return { copied: moves.length, updated };
}

/** The clusters whose references are all known. */
function* knownClusters(
  { layer, state }: Structure,
  units: readonly MovedCluster[],
  references: References,
): Steps<Move[]> {
  const { clusterSize } = layer.geometry;
  const known: Move[] = [];
  for (const unit of units) {
    const count = yield* references.count(unit.words, (view, at) => getHost(view, at) === unit.host);
    if (count === null || !(yield* loadBlockOf(state, unit.host / clusterSize))) continue;
    if (state.refcounts.count(unit.host / clusterSize) === count) known.push({ unit, references: count, to: 0 });
  }
  return known;
}

/** Takes a reserved cluster for a move, with all of its references. */
function takePlace({ layer, state }: Structure, move: Move): void {
  const { kind } = move.unit;
  const { clusterSize } = layer.geometry;
  move.to = state.space.allocate();
  state.refcounts.raise(move.to / clusterSize, move.references - 1);
  const isMetadata = state.metadata.has(move.unit.host);
  if (kind !== 'guest data' && isMetadata) state.metadata.add(kind, move.to, clusterSize);
}

/** Reads clusters at host offsets to the start of `buffer`: neighbours in one transfer, all in one batch. */
export function* readClusters({ layer }: Structure, hosts: readonly number[], buffer: Uint8Array): Steps {
  yield layer.source.read(adjacentTransfers(hosts, layer.geometry.clusterSize, buffer));
}

/** Writes clusters at host offsets, as {@link readClusters} reads them. */
export function* writeClusters({ layer, state }: Structure, hosts: readonly number[], buffer: Uint8Array): Steps {
  yield state.device.write(adjacentTransfers(hosts, layer.geometry.clusterSize, buffer));
}

function tablesMoved(structure: Structure, moves: readonly Move[]): void {
  const tables = moves.filter(({ unit }) => unit.kind === 'L2 table');
  if (tables.length === 0) return;
  for (const { unit, to } of tables) {
    structure.state.cache.move(unit.host, to);
    structure.writes.tableMoved(unit.host, to);
  }
  // All at once: an L1 table may have millions of entries.
  moveInViews(structure, new Map(tables.map(({ unit, to }) => [unit.host, to])));
}
