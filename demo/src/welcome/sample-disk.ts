/** Generates the sample image's disk: a small FAT16 file system whose layout gives the map something to show. */

const SECTOR = 512;
const SECTORS_PER_CLUSTER = 4;
const RESERVED_SECTORS = 1;
const FATS = 2;
const ROOT_ENTRIES = 512;
const DIRECTORY_ENTRY = 32;
/** Two bytes for each cluster; the first two entries are reserved. */
const FAT_ENTRY = 2;
const END_OF_CHAIN = 0xffff;
/** 22 November 2026, as FAT encodes a date: years since 1980, month, day. */
const DATE = ((2026 - 1980) << 9) | (11 << 5) | 22;

/** The bytes of a disk, stored only where something was written. */
export class SparseDisk {
  /** Bytes. */
  readonly size: number;
  readonly #blockSize: number;
  readonly #blocks = new Map<number, Uint8Array<ArrayBuffer>>();

  /** `blockSize` is the unit of storage, bytes. */
  constructor(size: number, blockSize: number) {
    this.size = size;
    this.#blockSize = blockSize;
  }

  /** Writes bytes at an offset. */
  write(offset: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const at = offset + done;
      const inside = at % this.#blockSize;
      const length = Math.min(bytes.length - done, this.#blockSize - inside);
      const index = (at - inside) / this.#blockSize;
      let block = this.#blocks.get(index);
      if (block === undefined) {
        block = new Uint8Array(this.#blockSize);
        this.#blocks.set(index, block);
      }
      block.set(bytes.subarray(done, done + length), inside);
      done += length;
    }
  }

  /** The written blocks, by their index; copies, so that later writes do not change them. */
  blocks(): Map<number, Uint8Array<ArrayBuffer>> {
    return new Map([...this.#blocks].map(([index, block]) => [index, block.slice()]));
  }
}

/** A file system without folders, to which files can be added. */
export class FatDisk {
  readonly disk: SparseDisk;
  readonly #fat: Uint8Array<ArrayBuffer>;
  readonly #rootAt: number;
  readonly #dataAt: number;
  #entries = 0;

  /** Formats a disk. FAT16 works for sizes from about 16 MiB to 128 MiB with this cluster size. */
  constructor(disk: SparseDisk, label: string) {
    this.disk = disk;
    const clusters = Math.floor(disk.size / (SECTOR * SECTORS_PER_CLUSTER));
    const fatSectors = Math.ceil(((clusters + 2) * FAT_ENTRY) / SECTOR);
    this.#fat = new Uint8Array(fatSectors * SECTOR);
    this.#rootAt = (RESERVED_SECTORS + FATS * fatSectors) * SECTOR;
    this.#dataAt = this.#rootAt + ROOT_ENTRIES * DIRECTORY_ENTRY;
    disk.write(0, bootSector(disk.size / SECTOR, fatSectors, label));
    this.#link(0, 0xfff8);
    this.#link(1, END_OF_CHAIN);
    this.#addEntry(label.padEnd(11), 0x08, 0, 0);
    this.#writeFats();
  }

  /** Adds a file whose bytes begin at the first free cluster from `near`, a guest offset in bytes. */
  add(name: string, bytes: Uint8Array, near: number): void {
    const clusterSize = SECTOR * SECTORS_PER_CLUSTER;
    const first = 2 + Math.max(0, Math.ceil((near - this.#dataAt) / clusterSize));
    const count = Math.ceil(bytes.length / clusterSize);
    for (let index = 0; index < count; index++) {
      this.#link(first + index, index === count - 1 ? END_OF_CHAIN : first + index + 1);
    }
    this.disk.write(this.#dataAt + (first - 2) * clusterSize, bytes);
    const [stem = '', extension = ''] = name.split('.');
    this.#addEntry(stem.padEnd(8) + extension.padEnd(3), 0x20, first, bytes.length);
    this.#writeFats();
  }

  #link(cluster: number, value: number): void {
    new DataView(this.#fat.buffer).setUint16(cluster * FAT_ENTRY, value, true);
  }

  #writeFats(): void {
    for (let copy = 0; copy < FATS; copy++) {
      this.disk.write(RESERVED_SECTORS * SECTOR + copy * this.#fat.length, this.#fat);
    }
  }

  #addEntry(name: string, attributes: number, first: number, size: number): void {
    const entry = new Uint8Array(DIRECTORY_ENTRY);
    const view = new DataView(entry.buffer);
    entry.set(ascii(name));
    view.setUint8(11, attributes);
    view.setUint16(24, DATE, true);
    view.setUint16(26, first, true);
    view.setUint32(28, size, true);
    this.disk.write(this.#rootAt + this.#entries * DIRECTORY_ENTRY, entry);
    this.#entries += 1;
  }
}

function bootSector(sectors: number, fatSectors: number, label: string): Uint8Array {
  const bytes = new Uint8Array(SECTOR);
  const view = new DataView(bytes.buffer);
  bytes.set([0xeb, 0x3c, 0x90]); // a jump over the parameters, with which every boot sector begins
  bytes.set(ascii('QCOW2TS '), 3);
  view.setUint16(11, SECTOR, true);
  view.setUint8(13, SECTORS_PER_CLUSTER);
  view.setUint16(14, RESERVED_SECTORS, true);
  view.setUint8(16, FATS);
  view.setUint16(17, ROOT_ENTRIES, true);
  view.setUint8(21, 0xf8); // a fixed disk
  view.setUint16(22, fatSectors, true);
  view.setUint16(24, 63, true);
  view.setUint16(26, 16, true);
  view.setUint32(32, sectors, true);
  view.setUint8(36, 0x80);
  view.setUint8(38, 0x29); // serial number, label and type follow
  view.setUint32(39, 0x51464901, true);
  bytes.set(ascii(label.padEnd(11)), 43);
  bytes.set(ascii('FAT16   '), 54);
  view.setUint16(510, 0xaa55, true);
  return bytes;
}

/** The bytes of a text; names in FAT are ASCII. */
export function ascii(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}
