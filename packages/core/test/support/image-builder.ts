/**
 * Owns a small writer of qcow2 files for tests, independent of the engine: it lays out what it is told, entry by entry,
 * so that a test can make the image it needs and then break one field of it. Runs wherever JavaScript does.
 */
import { put } from './big-endian.js';
import { type BitmapData, layBitmaps } from './image-bitmaps.js';
import { Layout, layRefcounts } from './image-layout.js';

/** What stands behind one guest cluster. */
export type Cell =
  /** A cluster of its own, padded with zeros. With extended L2, `bitmap` overrides "every subcluster allocated". */
  | { readonly kind: 'data'; readonly bytes: Uint8Array; readonly bitmap?: bigint }
  /** Reads as zeros; `allocated` keeps a host cluster for it. */
  | { readonly kind: 'zero'; readonly allocated: boolean }
  /** A compressed cluster with the given stream, packed behind the one before without padding. */
  | { readonly kind: 'compressed'; readonly payload: Uint8Array }
  /** An L2 entry written as it is, and its bitmap with extended L2; nothing is allocated for it. */
  | { readonly kind: 'entry'; readonly entry: bigint; readonly bitmap?: bigint };

export interface HeaderExtension {
  readonly type: number;
  readonly data: Uint8Array;
}

/** A snapshot of the image as it stands: its L1 is a copy, and everything it shares has one reference more. */
export interface SnapshotPlan {
  readonly id: string;
  readonly name: string;
  readonly vmStateSize?: number;
  readonly dateSec?: number;
  readonly dateNsec?: number;
  readonly vmClockNsec?: bigint;
  /** The bytes of the extra data; 16 that repeat the disk size when absent. */
  readonly extra?: Uint8Array;
}

/**
 * The image to build. What is left out is as `qemu-img create` has it; the size is then 1 MiB, or less where one L2
 * table maps less.
 */
export interface ImagePlan {
  readonly version?: 2 | 3;
  readonly clusterBits?: number;
  /** Virtual size, bytes. */
  readonly size?: number;
  readonly refcountOrder?: number;
  readonly extendedL2?: boolean;
  /** 72 for version 2, else 104 or more. */
  readonly headerLength?: number;
  readonly incompatible?: bigint;
  readonly compatible?: bigint;
  readonly autoclear?: bigint;
  readonly compressionType?: number;
  readonly encryption?: number;
  readonly extensions?: readonly HeaderExtension[];
  readonly backingName?: string;
  /** By guest cluster number; the others are unallocated. */
  readonly clusters?: ReadonlyMap<number, Cell>;
  readonly snapshots?: readonly SnapshotPlan[];
  readonly bitmaps?: readonly BitmapData[];
  /**
   * Clusters that are counted, and that nothing refers to. The refcount table, of one cluster, lies before everything
   * then.
   */
  readonly leaked?: number;
  /** Clusters that are free, and lie before everything but the header. */
  readonly free?: number;
}

/** An image, and where its structures lie; offsets in bytes. */
export interface BuiltImage {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly clusterSize: number;
  readonly l1: number;
  readonly l1Entries: number;
  readonly refcountTable: number;
  readonly refcountBlocks: readonly number[];
  /** 0 when there are none. */
  readonly snapshotTable: number;
  /** Of each extension's type field. */
  readonly extensions: readonly number[];
  /** 0 when there is none. */
  readonly backingName: number;
  /** Where the L2 entry of a guest cluster stands; its L2 table exists only when a cell of `clusters` lies in it. */
  entryAt(cluster: number): number;
}

const COPIED = 1n << 63n;
const COMPRESSED = 1n << 62n;
const ZERO = 1n;
const ALL_ALLOCATED = 0xffff_ffffn;
const ALL_ZERO = 0xffff_ffffn << 32n;
const SECTOR = 512;

/** A data cluster of one byte again and again. */
export function filled(value: number, clusterSize = 65_536): Cell {
  return { kind: 'data', bytes: new Uint8Array(clusterSize).fill(value) };
}

const roundUp = (value: number, unit: number): number => Math.ceil(value / unit) * unit;
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Lays out cells: gives each guest cluster its host bytes and its L2 entry. */
class Cells {
  readonly entries: Map<number, readonly [bigint, bigint]> = new Map();
  /** Where the next compressed stream goes, and what is left of its cluster. */
  private packAt = 0;
  private packEnd = 0;
  private readonly shares: number;

  constructor(
    private readonly layout: Layout,
    private readonly plan: ImagePlan,
  ) {
    this.shares = plan.snapshots?.length ?? 0;
    for (const [cluster, cell] of plan.clusters ?? []) this.entries.set(cluster, this.entry(cell));
  }

  private entry(cell: Cell): readonly [bigint, bigint] {
    const extended = this.plan.extendedL2 ?? false;
    switch (cell.kind) {
      case 'entry':
        return [cell.entry, cell.bitmap ?? 0n];
      case 'compressed':
        return [this.pack(cell.payload), 0n];
      case 'data':
        return [this.own(cell.bytes), cell.bitmap ?? ALL_ALLOCATED];
      case 'zero': {
        const host = cell.allocated ? this.own(new Uint8Array(0)) : 0n;
        return extended ? [host, ALL_ZERO] : [host | ZERO, 0n];
      }
    }
  }

  /** A cluster of its own, as an L2 entry. */
  private own(bytes: Uint8Array): bigint {
    const size = this.layout.clusterSize;
    const at = this.layout.take(size);
    this.layout.place(at, bytes.subarray(0, size));
    this.layout.refer(at, size, this.shares);
    return BigInt(at) | (this.shares === 0 ? COPIED : 0n);
  }

  /** A compressed stream directly behind the one before, as an L2 entry. */
  private pack(payload: Uint8Array): bigint {
    const { layout } = this;
    const end = this.packAt + payload.length;
    const room = roundUp(end, layout.clusterSize);
    const adjoins = this.packEnd === layout.end * layout.clusterSize;
    if (this.packAt === 0 || (room > this.packEnd && !adjoins)) {
      this.packAt = layout.take(payload.length);
      this.packEnd = layout.end * layout.clusterSize;
      for (let i = this.packAt / layout.clusterSize; i < layout.end; i++) layout.references[i] = 0;
    } else if (room > this.packEnd) {
      while (layout.end * layout.clusterSize < room) layout.references.push(0);
      this.packEnd = room;
    }
    const at = this.packAt;
    layout.place(at, payload);
    const sectors = Math.floor((at + payload.length - 1) / SECTOR) - Math.floor(at / SECTOR);
    layout.refer(at - (at % SECTOR), (sectors + 1) * SECTOR, 1 + this.shares);
    this.packAt += payload.length;
    if (sectors >= layout.clusterSize / 256) throw new RangeError('the stream is longer than an entry can say');
    const offsetBits = BigInt(62 - (Math.log2(layout.clusterSize) - 8));
    return COMPRESSED | (BigInt(sectors) << offsetBits) | BigInt(at);
  }
}

/** The L2 tables of the cells that there are, and the L1 that points at them. */
function layTables(layout: Layout, plan: ImagePlan, l1Entries: number, perTable: number): Map<number, number> {
  const entrySize = plan.extendedL2 ? 16 : 8;
  const { entries } = new Cells(layout, plan);
  const tables = new Map<number, { at: number; bytes: Uint8Array }>();
  for (const [cluster, [entry, bitmap]] of entries) {
    const index = Math.floor(cluster / perTable);
    let table = tables.get(index);
    if (!table) {
      if (index >= l1Entries) throw new RangeError(`guest cluster ${cluster} lies past the end of the disk`);
      table = { at: layout.take(layout.clusterSize), bytes: new Uint8Array(layout.clusterSize) };
      layout.refer(table.at, layout.clusterSize, plan.snapshots?.length ?? 0);
      layout.place(table.at, table.bytes);
      tables.set(index, table);
    }
    const at = (cluster % perTable) * entrySize;
    put(table.bytes, at, 8, entry);
    if (plan.extendedL2) put(table.bytes, at + 8, 8, bitmap);
  }
  return new Map([...tables].map(([index, { at }]) => [index, at]));
}

/** An L1 table as bytes. */
function l1Bytes(tables: ReadonlyMap<number, number>, l1Entries: number, flags: bigint): Uint8Array {
  const bytes = new Uint8Array(l1Entries * 8);
  for (const [index, at] of tables) put(bytes, index * 8, 8, BigInt(at) | flags);
  return bytes;
}

function snapshotEntry(plan: SnapshotPlan, l1: number, l1Entries: number, size: number): Uint8Array {
  const extra = plan.extra ?? new Uint8Array(16);
  if (!plan.extra) put(extra, 8, 8, size);
  const id = utf8(plan.id);
  const name = utf8(plan.name);
  const bytes = new Uint8Array(roundUp(40 + extra.length + id.length + name.length, 8));
  put(bytes, 0, 8, l1);
  put(bytes, 8, 4, l1Entries);
  put(bytes, 12, 2, id.length);
  put(bytes, 14, 2, name.length);
  put(bytes, 16, 4, plan.dateSec ?? 0);
  put(bytes, 20, 4, plan.dateNsec ?? 0);
  put(bytes, 24, 8, plan.vmClockNsec ?? 0n);
  put(bytes, 32, 4, plan.vmStateSize ?? 0);
  put(bytes, 36, 4, extra.length);
  bytes.set(extra, 40);
  bytes.set(id, 40 + extra.length);
  bytes.set(name, 40 + extra.length + id.length);
  return bytes;
}

function laySnapshots(layout: Layout, plan: ImagePlan, l1: Uint8Array, size: number): number {
  const entries = (plan.snapshots ?? []).map((snapshot) => {
    const at = layout.take(l1.length);
    layout.place(at, l1);
    return snapshotEntry(snapshot, at, l1.length / 8, size);
  });
  if (entries.length === 0) return 0;
  const table = layout.take(entries.reduce((sum, entry) => sum + entry.length, 0));
  let at = table;
  for (const entry of entries) {
    layout.place(at, entry);
    at += entry.length;
  }
  return table;
}

/** The tail of the header: extensions and the backing file's name, and where they came to stand. */
function layNames(plan: ImagePlan, headerLength: number): { bytes: Uint8Array; extensions: number[]; backing: number } {
  const name = utf8(plan.backingName ?? '');
  const extensions: number[] = [];
  let length = headerLength;
  for (const { data } of plan.extensions ?? []) {
    extensions.push(length);
    length += 8 + roundUp(data.length, 8);
  }
  length += 8; // the end marker, which is all zeros
  const bytes = new Uint8Array(length + name.length);
  (plan.extensions ?? []).forEach(({ type, data }, index) => {
    const at = extensions[index]!;
    put(bytes, at, 4, type);
    put(bytes, at + 4, 4, data.length);
    bytes.set(data, at + 8);
  });
  bytes.set(name, length);
  return { bytes, extensions, backing: name.length > 0 ? length : 0 };
}

/** Builds an image that `qemu-img check` finds nothing wrong with, unless the plan's own entries are wrong. */
export function buildImage(plan: ImagePlan = {}): BuiltImage {
  const version = plan.version ?? 3;
  const clusterBits = plan.clusterBits ?? 16;
  const clusterSize = 2 ** clusterBits;
  const perTable = clusterSize / (plan.extendedL2 ? 16 : 8);
  const size = plan.size ?? Math.min(perTable * clusterSize, 1024 * 1024);
  const l1Entries = Math.max(1, Math.ceil(size / (perTable * clusterSize)));
  const headerLength = plan.headerLength ?? (version === 2 ? 72 : 112);
  const layout = new Layout(clusterSize);
  layout.take(clusterSize);
  layout.skip(plan.free ?? 0);
  const tablePlace = plan.leaked === undefined ? null : layout.take(clusterSize);
  const names = layNames(
    { ...plan, extensions: [...(plan.extensions ?? []), ...layBitmaps(layout, plan.bitmaps)] },
    headerLength,
  );
  if (names.bytes.length > clusterSize) throw new RangeError('the header does not fit the first cluster');
  const l1 = layout.take(l1Entries * 8);
  const tables = layTables(layout, plan, l1Entries, perTable);
  layout.place(l1, l1Bytes(tables, l1Entries, plan.snapshots?.length ? 0n : COPIED));
  const snapshotTable = laySnapshots(layout, plan, l1Bytes(tables, l1Entries, 0n), size);
  layout.take((plan.leaked ?? 0) * clusterSize);
  const refcounts = layRefcounts(layout, plan.refcountOrder ?? 4, tablePlace);

  const header = names.bytes;
  put(header, 0, 4, 0x514649fb);
  put(header, 4, 4, version);
  put(header, 8, 8, names.backing);
  put(header, 16, 4, utf8(plan.backingName ?? '').length);
  put(header, 20, 4, clusterBits);
  put(header, 24, 8, size);
  put(header, 32, 4, plan.encryption ?? 0);
  put(header, 36, 4, l1Entries);
  put(header, 40, 8, l1);
  put(header, 48, 8, refcounts.table);
  put(header, 56, 4, refcounts.clusters);
  put(header, 60, 4, plan.snapshots?.length ?? 0);
  put(header, 64, 8, snapshotTable);
  if (version === 3) {
    put(header, 72, 8, (plan.incompatible ?? 0n) | (plan.extendedL2 ? 16n : 0n) | (plan.compressionType ? 8n : 0n));
    put(header, 80, 8, plan.compatible ?? 0n);
    put(header, 88, 8, plan.autoclear ?? (plan.bitmaps ? 1n : 0n));
    put(header, 96, 4, plan.refcountOrder ?? 4);
    put(header, 100, 4, headerLength);
    if (headerLength > 104) put(header, 104, 1, plan.compressionType ?? 0);
  }
  layout.place(0, header);

  const { extensions, backing } = names;
  return {
    bytes: layout.render(),
    clusterSize,
    l1,
    l1Entries,
    refcountTable: refcounts.table,
    refcountBlocks: refcounts.blocks,
    snapshotTable,
    extensions,
    backingName: backing,
    entryAt(cluster) {
      const table = tables.get(Math.floor(cluster / perTable));
      if (table === undefined) throw new RangeError(`guest cluster ${cluster} has no L2 table`);
      return table + (cluster % perTable) * (plan.extendedL2 ? 16 : 8);
    },
  };
}
