/** Reads and changes words on the medium that refer to clusters. In memory and on the medium they must be the same. */
import type { Transfer } from '../../api/device.js';
import type { Steps } from '../../engine/async/steps.js';
import type { Structure } from '../../engine/write/structure.js';
import { viewOf } from '../../format/bytes.js';
import { adjacentTransfers } from '../adjacent-transfers.js';

const WORD_BYTES = 8;

/** Words by their host offset, as they are on the medium. */
export class Words {
  readonly #view: DataView;
  /** The place of each word in the view. */
  readonly #places: ReadonlyMap<number, number>;
  readonly #offsets: readonly number[];
  readonly #changed = new Set<number>();

  private constructor(view: DataView, offsets: readonly number[], places: ReadonlyMap<number, number>) {
    this.#view = view;
    this.#offsets = offsets;
    this.#places = places;
  }

  /** Reads words: neighbours in one transfer. */
  static *read({ layer }: Structure, offsets: Iterable<number>): Steps<Words> {
    const sorted = [...new Set(offsets)].sort((a, b) => a - b);
    const bytes = new Uint8Array(sorted.length * WORD_BYTES);
    const places = new Map(sorted.map((at, index) => [at, index * WORD_BYTES]));
    yield layer.source.read(adjacentTransfers(sorted, WORD_BYTES, bytes));
    return new Words(viewOf(bytes), sorted, places);
  }

  /** Calls `use` with the view and the place of a word in it. */
  get<T>(offset: number, use: (view: DataView, at: number) => T): T {
    return use(this.#view, this.#places.get(offset)!);
  }

  /** As {@link get}, for a change of the word. */
  change(offset: number, change: (view: DataView, at: number) => void): void {
    this.get(offset, change);
    this.#changed.add(offset);
  }

  /** The writes of the words that were changed. */
  get transfers(): Transfer[] {
    const changed = this.#offsets.filter((offset) => this.#changed.has(offset));
    const bytes = new Uint8Array(changed.length * WORD_BYTES);
    for (const [index, offset] of changed.entries()) {
      const at = this.#places.get(offset)!;
      bytes.set(new Uint8Array(this.#view.buffer, this.#view.byteOffset + at, WORD_BYTES), index * WORD_BYTES);
    }
    return adjacentTransfers(changed, WORD_BYTES, bytes);
  }

  /** The words that were changed, each with its new bytes. */
  *changes(): Generator<{ readonly offset: number; readonly high: number; readonly low: number }> {
    for (const offset of this.#changed) {
      const at = this.#places.get(offset)!;
      yield { offset, high: this.#view.getUint32(at), low: this.#view.getUint32(at + 4) };
    }
  }
}
