/**
 * Moves compressed streams, in the same order as clusters. Streams share clusters, so each moves by itself: the old
 * clusters lose one reference for it, the new ones get one.
 */
import type { Transfer } from '../../api/device.js';
import type { Steps } from '../../engine/async/steps.js';
import { findClustersBelow } from '../../engine/write/find-clusters.js';
import type { Structure } from '../../engine/write/structure.js';
import { writeBack } from '../../engine/write/write-back.js';
import { alignUp } from '../../format/bytes.js';
import { compressedAt, isCompressedWord, setCompressedHost } from '../../format/host-words.js';
import type { Moved } from './move-clusters.js';
import { References, switchWords } from './references.js';
import type { MovedStream, Units } from './units.js';
import { Words } from './words.js';

/** The unit of a stream's length, bytes. In its sector a stream keeps its place, and so its length. */
const SECTOR = 512;

/** A stream that moves, its references, and its new host offset. */
interface Move {
  readonly unit: MovedStream;
  readonly references: number;
  readonly to: number;
}

/**
 * Moves streams, given with the highest first, to free clusters before the cluster `limit`. It must follow `settle`,
 * with the exclusive lock.
 */
export function* moveStreams(
  structure: Structure,
  units: readonly MovedStream[],
  found: Units,
  limit: number,
): Steps<Moved> {
  const { state, layer } = structure;
  const words = yield* Words.read(
    structure,
    units.flatMap((unit) => unit.words),
  );
  const known = yield* knownStreams(structure, units, new References(structure, words, found));
  // Before clusters are taken, which a read that fails would leave as leaks.
  const streams = yield* readStreams(structure, known);
  yield* findClustersBelow(state, clustersFor(structure, known), limit);
  const places = new Places(structure);
  const moves: Move[] = [];
  for (const { unit, references } of known) {
    const to = places.take(unit, references);
    if (to === null) break;
    moves.push({ unit, references, to });
  }
  places.release();
  if (moves.length === 0) return { copied: 0, updated: 0 };
  yield state.device.write(moves.map(({ to }, index) => ({ at: to, bytes: streams[index]!.bytes })));
  let updated = 0;
  for (const { unit, to } of moves) {
    for (const word of unit.words) {
      words.change(word, (view, at) => setCompressedHost(layer.geometry, view, at, to));
    }
    updated += unit.words.length;
  }
  switchWords(structure, words);
  for (const { unit, references, to } of moves) {
    for (const { inflated } of [layer, ...layer.views]) {
      inflated.delete(unit.host);
      // A stream that the guest has overwritten may have been there, and been read before.
      inflated.delete(to);
    }
    state.space.retire({ host: unit.host, length: unit.length }, references);
  }
  yield* writeBack(state, 'check');
  return { copied: places.clusters, updated };
}

/** The most clusters that streams take: by their bytes, and by how many references narrow refcounts can say. */
function clustersFor({ state, layer }: Structure, streams: readonly Omit<Move, 'to'>[]): number {
  let bytes = 0;
  let counted = 0;
  for (const { unit, references } of streams) {
    bytes += SECTOR + unit.length;
    counted += references;
  }
  return Math.ceil(bytes / layer.geometry.clusterSize) + Math.ceil(counted / state.refcounts.max) + 1;
}

/** The streams of which every word refers to them still. */
function* knownStreams(
  structure: Structure,
  units: readonly MovedStream[],
  references: References,
): Steps<Omit<Move, 'to'>[]> {
  const known: Omit<Move, 'to'>[] = [];
  for (const unit of units) {
    // Only in an image that was opened unverified: two L1 entries lead to one table, and its references count once.
    if (new Set(unit.words).size < unit.words.length) continue;
    const count = yield* references.count(unit.words, (view, at) => isStream(structure, view, at, unit));
    if (count !== null) known.push({ unit, references: count });
  }
  return known;
}

function isStream({ layer }: Structure, view: DataView, at: number, { host, length }: MovedStream): boolean {
  if (!isCompressedWord(view, at)) return false;
  const stream = compressedAt(layer.geometry, view, at);
  return stream.host === host && stream.length === length;
}

/** Gives streams their places, one after the other in the reserved clusters. */
class Places {
  /** Clusters that were taken for streams. */
  clusters = 0;
  readonly #structure: Structure;
  /** Where the next stream may begin, and the end of the cluster. */
  #next = 0;
  #end = 0;
  /** Clusters without a stream: their one reference counts for the first. */
  readonly #unused = new Set<number>();

  constructor(structure: Structure) {
    this.#structure = structure;
  }

  /** The place of a stream, whose clusters get `references` each; null when no reserved cluster is left for it. */
  take({ host, length }: MovedStream, references: number): number | null {
    const { space } = this.#structure.state;
    const { clusterSize } = this.#structure.layer.geometry;
    const within = host % SECTOR;
    if (!this.#canCount(references)) this.#next = alignUp(this.#next, clusterSize);
    const fits = () => this.#next + within + length <= this.#end;
    while (!fits()) {
      // A stream may cross the border of two clusters that are neighbours.
      if (space.reserved === 0) return null;
      const at = this.#allocate();
      if (at !== this.#end) this.#next = at;
      this.#end = at + clusterSize;
    }
    const to = this.#next + within;
    this.#next = to + length;
    this.#count(to, length, references);
    return to;
  }

  /** Frees the clusters that were taken and have no stream. */
  release(): void {
    const { state, layer } = this.#structure;
    for (const cluster of this.#unused) state.space.freeUnused(cluster * layer.geometry.clusterSize);
    this.clusters -= this.#unused.size;
    this.#unused.clear();
  }

  /** True if the cluster where the next stream may begin has no stream yet, or can have as many references more. */
  #canCount(references: number): boolean {
    const { state, layer } = this.#structure;
    const cluster = Math.floor(this.#next / layer.geometry.clusterSize);
    const isNew = this.#next % layer.geometry.clusterSize === 0;
    return isNew || state.refcounts.count(cluster) + references <= state.refcounts.max;
  }

  #allocate(): number {
    this.clusters++;
    const { state, layer } = this.#structure;
    const at = state.space.allocate();
    this.#unused.add(at / layer.geometry.clusterSize);
    return at;
  }

  #count(to: number, length: number, references: number): void {
    const { state, layer } = this.#structure;
    const { clusterSize } = layer.geometry;
    const last = Math.floor((to + length - 1) / clusterSize);
    for (let cluster = Math.floor(to / clusterSize); cluster <= last; cluster++) {
      state.refcounts.raise(cluster, this.#unused.delete(cluster) ? references - 1 : references);
    }
  }
}

function* readStreams({ layer }: Structure, known: readonly Pick<Move, 'unit'>[]): Steps<readonly Transfer[]> {
  const transfers = known.map(({ unit }): Transfer => ({ at: unit.host, bytes: new Uint8Array(unit.length) }));
  yield layer.source.read(transfers);
  return transfers;
}
