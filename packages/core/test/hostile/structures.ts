/** Owns where the structures of an image stand, found without the engine: what is broken is chosen by it. */
import { get } from '../support/big-endian.js';

/** A stretch of the file that holds one structure; in bytes. */
export interface Structure {
  readonly what: string;
  readonly at: number;
  readonly length: number;
}

const OFFSET = 0x00ff_ffff_ffff_fe00n;
const COMPRESSED = 1n << 62n;
const BITMAPS = 0x23852875;
const CRYPTO = 0x0537be77;
/** As many tables are followed, and as many entries of each are looked at. */
const TABLES = 2;
const ENTRIES = 64;

/** The offsets that the first entries of a table hold, where there are any. */
function pointersIn(file: Uint8Array, at: number, entries: number, stride = 8): number[] {
  const found: number[] = [];
  for (let index = 0; index < Math.min(entries, ENTRIES) && at + (index + 1) * stride <= file.length; index++) {
    const entry = get(file, at + index * stride, 8);
    if ((entry & OFFSET) !== 0n && (entry & COMPRESSED) === 0n) found.push(Number(entry & OFFSET));
  }
  return found;
}

/** An L1 table, and the first L2 tables that it names. */
function tablesOf(file: Uint8Array, of: string, at: number, entries: number, clusterSize: number): Structure[] {
  const tables = pointersIn(file, at, entries).slice(0, TABLES);
  return [
    { what: `L1 table${of}`, at, length: Math.min(entries, ENTRIES) * 8 },
    ...tables.map((table) => ({ what: `L2 table${of}`, at: table, length: Math.min(clusterSize, ENTRIES * 8) })),
  ];
}

/** The first compressed stream of an L2 table. */
function streamsIn(file: Uint8Array, table: Structure, clusterBits: number, stride: number): Structure[] {
  const mask = (1n << BigInt(62 - (clusterBits - 8))) - 1n;
  for (let at = table.at; at + 8 <= Math.min(table.at + table.length, file.length); at += stride) {
    const entry = get(file, at, 8);
    if ((entry & COMPRESSED) !== 0n) return [{ what: 'compressed stream', at: Number(entry & mask), length: 200 }];
  }
  return [];
}

/** The bitmap directory with the tables of the first bitmap, or the encryption header, which extensions lead to. */
function extended(file: Uint8Array, headerLength: number): Structure[] {
  const found: Structure[] = [];
  for (let at = headerLength; at + 32 <= Math.min(file.length, 4096); ) {
    const type = Number(get(file, at, 4));
    const length = Number(get(file, at + 4, 4));
    if (type === 0) break;
    if (type === BITMAPS) {
      const directory = Number(get(file, at + 24, 8));
      const table = Number(get(file, directory, 8));
      found.push({ what: 'bitmap directory', at: directory, length: Number(get(file, at + 16, 8)) });
      found.push({ what: 'bitmap table', at: table, length: Number(get(file, directory + 8, 4)) * 8 });
    }
    if (type === CRYPTO) found.push({ what: 'encryption header', at: Number(get(file, at + 8, 8)), length: 592 });
    found.push({ what: 'header extension', at, length: 8 + length });
    at += 8 + Math.ceil(length / 8) * 8;
  }
  return found;
}

/** The structures of a sound image, those that lie within the file. */
export function structuresOf(file: Uint8Array): readonly Structure[] {
  const number = (at: number, width: 1 | 2 | 4 | 8): number => Number(get(file, at, width));
  const clusterBits = number(20, 4);
  const clusterSize = 2 ** clusterBits;
  const isThree = number(4, 4) === 3;
  const headerLength = isThree ? number(100, 4) : 72;
  const stride = isThree && (get(file, 72, 8) & 16n) !== 0n ? 16 : 8;
  const active = tablesOf(file, '', number(40, 8), number(36, 4), clusterSize);
  const refcounts = { what: 'refcount table', at: number(48, 8), length: 64 };
  const blocks = pointersIn(file, refcounts.at, 8).slice(0, TABLES);
  const snapshots = number(60, 4) === 0 ? [] : [{ what: 'snapshot table', at: number(64, 8), length: 128 }];
  const found: Structure[] = [
    { what: 'header', at: 0, length: headerLength },
    ...extended(file, headerLength),
    ...active,
    ...active.flatMap((table) => (table.what === 'L2 table' ? streamsIn(file, table, clusterBits, stride) : [])),
    refcounts,
    ...blocks.map((at) => ({ what: 'refcount block', at, length: 128 })),
    ...snapshots,
    ...snapshots.flatMap(({ at }) => tablesOf(file, ' of a snapshot', number(at, 8), number(at + 8, 4), clusterSize)),
  ];
  return found.filter(({ at, length }) => length > 0 && at < file.length);
}
