/** Lays out a qcow2 file, version 3, from guest clusters: host clusters, references to them, tables. */

/** Bytes of a cluster, of guest and file alike: QEMU's default. */
export const CLUSTER = 65536;
const CLUSTER_BITS = 16;
const HEADER_LENGTH = 112;
const COPIED = 0x8000_0000;
const COMPRESSED = 0x4000_0000;
/**
 * The bit in the upper half of a compressed entry where the sector count begins: 62 - (cluster_bits - 8) bits are the
 * offset.
 */
const SECTORS_SHIFT = 62 - (CLUSTER_BITS - 8) - 32;
/** One table is enough: it maps 8192 clusters, 512 MiB. */
const L2_ENTRIES = CLUSTER / 8;

/** The content of one guest cluster. The same object in the disk and in its snapshot becomes one shared cluster. */
export type Content =
  | { readonly kind: 'plain'; readonly bytes: Uint8Array }
  | { readonly kind: 'deflated'; readonly stream: Uint8Array }
  | { readonly kind: 'zero' };

/** Guest clusters by their index; absent ones are unallocated. */
export type GuestClusters = ReadonlyMap<number, Content>;

/** A snapshot to lay out beside the disk. */
export interface SnapshotPlan {
  readonly name: string;
  /** Seconds since the epoch. */
  readonly dateSec: number;
  readonly clusters: GuestClusters;
}

interface Place {
  readonly at: number;
  readonly length: number;
}

/** Lays out an image of `size` bytes, at most 512 MiB, with one snapshot. */
export function layOutImage(size: number, active: GuestClusters, snapshot: SnapshotPlan): Uint8Array<ArrayBuffer> {
  const host = new HostFile();
  const header = host.take(CLUSTER);
  const refcountTable = host.take(CLUSTER);
  const refcountBlock = host.take(CLUSTER);
  const l1 = host.take(CLUSTER);
  const l2 = host.take(CLUSTER);
  const snapshotL1 = host.take(CLUSTER);
  const snapshotL2 = host.take(CLUSTER);
  const snapshots = host.take(CLUSTER);
  const tables = [header, refcountTable, refcountBlock, l1, l2, snapshotL1, snapshotL2, snapshots];
  for (const at of tables) host.refer(at, CLUSTER);

  const places = placeContents(host, [active, snapshot.clusters]);
  for (const clusters of [active, snapshot.clusters]) {
    for (const content of clusters.values()) {
      const place = places.get(content);
      if (place) host.refer(place.at, place.length);
    }
  }
  const file = host.file();
  const view = new DataView(file.buffer);
  writeL2(view, l2, active, places, (at) => host.references(at) === 1);
  writeL2(view, snapshotL2, snapshot.clusters, places, () => false);
  setUint64(view, l1, l2, COPIED);
  setUint64(view, snapshotL1, snapshotL2);
  setUint64(view, refcountTable, refcountBlock);
  host.writeRefcounts(view, refcountBlock);
  writeSnapshot(file, snapshots, snapshotL1, size, snapshot);
  writeHeader(view, { size, l1, refcountTable, snapshots });
  return file;
}

/** The file while it grows: allocates space, and counts the references to each of its clusters. */
class HostFile {
  readonly #pieces: { at: number; bytes: Uint8Array }[] = [];
  readonly #references: number[] = [];
  #end = 0;

  /** Allocates whole clusters at the end of the file; returns their offset. */
  take(length: number): number {
    const at = Math.ceil(this.#end / CLUSTER) * CLUSTER;
    this.#end = at + length;
    return at;
  }

  /** Appends bytes directly after the last ones, as compressed clusters may be; returns their offset. */
  append(bytes: Uint8Array): number {
    const at = this.#end;
    this.#end += bytes.length;
    this.place(at, bytes);
    return at;
  }

  place(at: number, bytes: Uint8Array): void {
    this.#pieces.push({ at, bytes });
  }

  /** Counts one reference to every cluster that the bytes touch. */
  refer(at: number, length: number): void {
    const last = Math.floor((at + length - 1) / CLUSTER);
    for (let cluster = Math.floor(at / CLUSTER); cluster <= last; cluster++) {
      this.#references[cluster] = (this.#references[cluster] ?? 0) + 1;
    }
  }

  references(at: number): number {
    return this.#references[at / CLUSTER] ?? 0;
  }

  writeRefcounts(view: DataView, block: number): void {
    this.#references.forEach((count, cluster) => {
      view.setUint16(block + cluster * 2, count);
    });
  }

  file(): Uint8Array<ArrayBuffer> {
    const file = new Uint8Array(Math.ceil(this.#end / CLUSTER) * CLUSTER);
    for (const { at, bytes } of this.#pieces) file.set(bytes, at);
    return file;
  }
}

/**
 * Places every content in the file once, however many guest clusters share it: plain ones first, then compressed ones.
 */
function placeContents(host: HostFile, all: readonly GuestClusters[]): Map<Content, Place> {
  const contents = new Set(all.flatMap((clusters) => [...clusters.values()]));
  const places = new Map<Content, Place>();
  for (const content of contents) {
    if (content.kind !== 'plain') continue;
    const at = host.take(CLUSTER);
    host.place(at, content.bytes);
    places.set(content, { at, length: CLUSTER });
  }
  for (const content of contents) {
    if (content.kind !== 'deflated') continue;
    places.set(content, { at: host.append(content.stream), length: content.stream.length });
  }
  return places;
}

function writeL2(
  view: DataView,
  table: number,
  clusters: GuestClusters,
  places: ReadonlyMap<Content, Place>,
  isOwned: (at: number) => boolean,
): void {
  for (const [index, content] of clusters) {
    if (index >= L2_ENTRIES) throw new RangeError('One L2 table maps 512 MiB.');
    const entry = table + index * 8;
    const place = places.get(content);
    if (place === undefined) {
      setUint64(view, entry, 1); // the zero flag, without a cluster
    } else if (content.kind === 'plain') {
      setUint64(view, entry, place.at, isOwned(place.at) ? COPIED : 0);
    } else {
      const sectors = Math.floor((place.at + place.length - 1) / 512) - Math.floor(place.at / 512);
      setUint64(view, entry, place.at, (COMPRESSED | (sectors << SECTORS_SHIFT)) >>> 0);
    }
  }
}

function writeSnapshot(file: Uint8Array, at: number, l1: number, size: number, plan: SnapshotPlan): void {
  const view = new DataView(file.buffer);
  const text = new TextEncoder();
  const id = text.encode('1');
  const name = text.encode(plan.name);
  setUint64(view, at, l1);
  view.setUint32(at + 8, 1); // entries of its L1 table
  view.setUint16(at + 12, id.length);
  view.setUint16(at + 14, name.length);
  view.setUint32(at + 16, plan.dateSec);
  view.setUint32(at + 36, 24); // extra data: size of the machine state, of the disk, without an instruction count
  setUint64(view, at + 48, size);
  view.setBigInt64(at + 56, -1n);
  file.set(id, at + 64);
  file.set(name, at + 64 + id.length);
}

function writeHeader(view: DataView, at: { size: number; l1: number; refcountTable: number; snapshots: number }): void {
  view.setUint32(0, 0x514649fb);
  view.setUint32(4, 3);
  view.setUint32(20, CLUSTER_BITS);
  setUint64(view, 24, at.size);
  view.setUint32(36, 1); // entries of the L1 table
  setUint64(view, 40, at.l1);
  setUint64(view, 48, at.refcountTable);
  view.setUint32(56, 1); // clusters of the refcount table
  view.setUint32(60, 1); // snapshots
  setUint64(view, 64, at.snapshots);
  view.setUint32(96, 4); // refcounts of 16 bits
  view.setUint32(100, HEADER_LENGTH);
}

/** Writes a big-endian u64 from a number below 2^53 and flags for its upper half. */
function setUint64(view: DataView, at: number, value: number, upper = 0): void {
  view.setUint32(at, (Math.floor(value / 2 ** 32) | upper) >>> 0);
  view.setUint32(at + 4, value >>> 0);
}
