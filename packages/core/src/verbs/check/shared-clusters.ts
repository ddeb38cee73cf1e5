/**
 * Decides what a cluster with several references means: it is a cross-link when they use it for different things, and
 * only counted wrong when they are of the same guest cluster, in the disk and its snapshots.
 */
import type { Impact, Reference } from '../../api/check-report.js';
import type { Range } from '../../api/range.js';
import { guestOf, type Place, referenceOf, type Use } from './place.js';

/** The most clusters whose references are looked for. */
const MAX_SHARED_CLUSTERS = 16_384;
/** The most references of a cluster that are listed. */
const MAX_REFERENCES = 8;

/** One cluster with several references. */
export class SharedCluster {
  readonly references: Reference[] = [];
  /** Ranges of the image's disk, of the listed references. */
  readonly guest: Range[] = [];
  #firstUse: string | null = null;
  #isCrossLink = false;
  #holdsGuest = false;

  /** Adds a reference. */
  add(use: Use, place: Place): void {
    const key = keyOf(use, place);
    this.#firstUse ??= key;
    if (this.#firstUse !== key) this.#isCrossLink = true;
    if (use !== 'refcounts' && use !== 'bitmaps') this.#holdsGuest = true;
    if (this.references.length === MAX_REFERENCES) return;
    this.references.push(referenceOf(place));
    const guest = guestOf(place);
    if (guest !== undefined && place.maps?.active) this.guest.push(guest);
  }

  /** What the references mean for the guest. */
  get impact(): Impact {
    return this.#isCrossLink && this.#holdsGuest ? 'data-doubtful' : 'bookkeeping';
  }
}

/** References with the same key may share a cluster. */
function keyOf(use: Use, { what, maps }: Place): string {
  if (use === 'compressed') return use;
  return maps === undefined ? what : `${use} ${maps.start}`;
}

/** The clusters whose references are to be found. */
export class SharedClusters {
  readonly #clusters = new Map<number, SharedCluster>();

  /** Number of clusters. */
  get size(): number {
    return this.#clusters.size;
  }

  /** Adds a cluster; returns null when there are too many. */
  watch(cluster: number): SharedCluster | null {
    const known = this.#clusters.get(cluster);
    if (known !== undefined) return known;
    if (this.#clusters.size === MAX_SHARED_CLUSTERS) return null;
    const added = new SharedCluster();
    this.#clusters.set(cluster, added);
    return added;
  }

  /** The record of a cluster; undefined when it is not one of these. */
  get(cluster: number): SharedCluster | undefined {
    return this.#clusters.get(cluster);
  }

  /** The numbers of the clusters. */
  numbers(): Iterable<number> {
    return this.#clusters.keys();
  }
}
