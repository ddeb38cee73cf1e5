/** Finds the names inside an image, and replaces them by placeholders of the same length. */

import type { FirstCluster } from '../../engine/layer/metadata.js';
import { BITMAP_HEADER_BYTES, type Bitmap, bitmapEntryLength } from '../../format/bitmaps.js';
import { EXTENSION } from '../../format/extensions.js';
import { SNAPSHOT_HEADER_BYTES, type Snapshot, snapshotEntryLength } from '../../format/snapshots.js';

/** The characters of a placeholder: `xxx`, `xxa`, `xxb` and so on. */
const LETTERS = new TextEncoder().encode('xabcdefghijklmnopqrstuvwyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789');

/** A name in the file, and the number of its placeholder. */
interface NamePlace {
  readonly at: number;
  readonly length: number;
  /** Names of the same kind and length have different numbers. */
  readonly number: number;
}

/** The names inside an image. */
export class NamePlaces {
  readonly #places: NamePlace[] = [];
  /** How many names of a kind and length there are. */
  readonly #counts = new Map<string, number>();
  /** The first place that may reach into the bytes of the next call of {@link replaceIn}. */
  #first = 0;

  /** Adds the names in the first cluster: of the backing file and of the data file. */
  addHeader({ header, extensions }: FirstCluster): void {
    if (header.backingFileOffset !== 0) this.#add('backing file', header.backingFileOffset, header.backingFileSize);
    for (const { type, offset, data } of extensions) {
      if (type === EXTENSION.dataFile) this.#add('data file', offset, data.length);
    }
  }

  /** Adds the ids and names in a snapshot table at `table`. */
  addSnapshots(snapshots: readonly Snapshot[], table: number): void {
    let entry = table;
    for (const snapshot of snapshots) {
      const id = entry + SNAPSHOT_HEADER_BYTES + snapshot.extra.length;
      this.#add('snapshot id', id, snapshot.id.length);
      this.#add('snapshot name', id + snapshot.id.length, snapshot.name.length);
      entry += snapshotEntryLength(snapshot);
    }
  }

  /** Adds the names in a bitmap directory at `directory`. */
  addBitmaps(bitmaps: readonly Bitmap[], directory: number): void {
    let entry = directory;
    for (const bitmap of bitmaps) {
      this.#add('bitmap', entry + BITMAP_HEADER_BYTES + bitmap.extra.length, bitmap.name.length);
      entry += bitmapEntryLength(bitmap);
    }
  }

  /** Replaces every name in `bytes`, which are at `at` in the file. Calls must be in the order of the file. */
  replaceIn(bytes: Uint8Array, at: number): void {
    const places = this.#places;
    while (this.#first < places.length && endOf(places[this.#first]!) <= at) this.#first++;
    for (let index = this.#first; index < places.length && places[index]!.at < at + bytes.length; index++) {
      const place = places[index]!;
      const letters = placeholder(place);
      const from = Math.max(place.at, at);
      const to = Math.min(endOf(place), at + bytes.length);
      if (from < to) bytes.set(letters.subarray(from - place.at, to - place.at), from - at);
    }
  }

  /** Call it when all names were added. */
  sort(): this {
    this.#places.sort((a, b) => a.at - b.at);
    return this;
  }

  #add(kind: string, at: number, length: number): void {
    const key = `${kind} ${length}`;
    const number = this.#counts.get(key) ?? 0;
    this.#counts.set(key, number + 1);
    this.#places.push({ at, length, number });
  }
}

function endOf({ at, length }: NamePlace): number {
  return at + length;
}

/** The number as digits, with `x` for zero. Too short a name has room for the last digits alone. */
function placeholder({ length, number }: NamePlace): Uint8Array {
  const letters = new Uint8Array(length).fill(LETTERS[0]!);
  for (let at = length - 1, rest = number; at >= 0 && rest > 0; at--) {
    letters[at] = LETTERS[rest % LETTERS.length]!;
    rest = Math.floor(rest / LETTERS.length);
  }
  return letters;
}
