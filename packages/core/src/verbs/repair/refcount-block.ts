/** A refcount block in memory, and how its refcounts are corrected: nearly all of them two at a time. */
import type { ClusterCounts } from '../../engine/allocation/cluster-counts.js';
import { DirtyRanges } from '../../engine/allocation/dirty-ranges.js';
import { viewOf } from '../../format/bytes.js';
import { getRefcount, setRefcount } from '../../format/refcounts.js';

/** `'raise'` changes a refcount that is lower than the references, `'lower'` one that is higher. */
export type Correction = 'raise' | 'lower';

/** The width of nearly all refcounts, 16 bits, as an order. */
const USUAL_ORDER = 4;
/** Two refcounts of this width as one word in the byte order of the machine: 0 and 0, 1 and 0, 0 and 1, 1 and 1. */
const PAIRS = new Int32Array(new Uint8Array([0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 0, 1]).buffer);

/** One block. */
export class RefcountBlock {
  readonly view: DataView;
  readonly dirty: DirtyRanges = new DirtyRanges();
  /** How many refcounts were changed. */
  changed = 0;
  readonly #bytes: Uint8Array;
  readonly #order: number;
  readonly #first: number;

  /** `bytes` begin at a multiple of 4 of their buffer; `first` is the first cluster that they count. */
  constructor(bytes: Uint8Array, order: number, first: number) {
    this.view = viewOf(bytes);
    this.#bytes = bytes;
    this.#order = order;
    this.#first = first;
  }

  /** Sets the refcount of a cluster. */
  set(cluster: number, count: number): void {
    const order = this.#order;
    const index = cluster - this.#first;
    if (Number(getRefcount(this.view, order, index)) === count) return;
    setRefcount(this.view, order, index, order === 6 ? BigInt(count) : count);
    const byte = Math.floor((index * 2 ** order) / 8);
    this.dirty.add(byte, byte + Math.max(1, 2 ** order / 8));
    this.changed++;
  }

  /** Corrects the refcounts of the clusters before `end`. */
  correct(references: ClusterCounts, end: number, correction: Correction): void {
    let cluster = this.#first;
    if (this.#order === USUAL_ORDER) cluster = this.#correctPairs(references, end, correction);
    for (; cluster < end; cluster++) this.#correctOne(cluster, references.get(cluster), correction);
  }

  #correctOne(cluster: number, wanted: number, correction: Correction): void {
    const refcount = Number(getRefcount(this.view, this.#order, cluster - this.#first));
    if (correction === 'raise' ? refcount < wanted : refcount > wanted) this.set(cluster, wanted);
  }

  /** Returns the cluster after the last pair before `end`. */
  #correctPairs(references: ClusterCounts, end: number, correction: Correction): number {
    const words = new Int32Array(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.length / 4);
    let cluster = this.#first;
    for (let index = 0; cluster + 1 < end; index++) {
      const one = references.get(cluster);
      const two = references.get(cluster + 1);
      const word = words[index]!;
      const wanted = one <= 1 && two <= 1 ? PAIRS[one + 2 * two]! : null;
      if (wanted !== null && word === 0 && correction === 'raise') {
        if (wanted !== 0) this.#setPair(words, index, wanted, one + two);
      } else if (wanted === 0 && word === PAIRS[3] && correction === 'lower') this.#setPair(words, index, 0, 2);
      else if (word !== wanted) {
        this.#correctOne(cluster, one, correction);
        this.#correctOne(cluster + 1, two, correction);
      }
      cluster += 2;
    }
    return cluster;
  }

  #setPair(words: Int32Array, index: number, word: number, changed: number): void {
    words[index] = word;
    this.changed += changed;
    if (this.dirty.end < 4 * index + 4) this.dirty.add(4 * index, 4 * index + 4);
  }
}
