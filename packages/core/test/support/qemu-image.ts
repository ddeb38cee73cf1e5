/** One image with bitmaps in a folder of QEMU's tools: made, written, checked and read by them. */
import { expect } from 'vitest';
import type { Range } from '../../src/index.js';
import { dirtyRanges } from './dirty-ranges.js';
import { QemuFolder } from './qemu.js';
import { qemuChecks } from './qemu-check.js';
import { runToolOrThrow } from './run-tool.js';

/** A bitmap as `qemu-img info` lists it. */
export interface QemuBitmap {
  readonly name: string;
  readonly granularity: number;
  readonly flags: readonly string[];
}

/** The image, `i.qcow2`, in a folder of its own. */
export class QemuImage {
  readonly folder: QemuFolder;

  /** The folder is removed after the tests of the file. */
  constructor(name: string) {
    this.folder = new QemuFolder(name);
  }

  /** Makes the image, with bitmaps of these granularities by name. */
  create(options: string, size: number, bitmaps: Readonly<Record<string, number>> = {}): void {
    this.folder.img('create', '-q', '-f', 'qcow2', '-o', options, 'i.qcow2', String(size));
    for (const [name, granularity] of Object.entries(bitmaps)) this.addBitmap(name, granularity);
  }

  addBitmap(name: string, granularity = 65_536): void {
    this.folder.img('bitmap', '--add', '-g', String(granularity), 'i.qcow2', name);
  }

  disableBitmap(name: string): void {
    this.folder.img('bitmap', '--disable', 'i.qcow2', name);
  }

  removeBitmap(name: string): void {
    this.folder.img('bitmap', '--remove', 'i.qcow2', name);
  }

  /** Runs commands of qemu-io on the image. */
  io(...commands: readonly string[]): void {
    this.folder.io('i.qcow2', ...commands);
  }

  read(): Uint8Array<ArrayBuffer> {
    return this.folder.get('i.qcow2');
  }

  write(bytes: Uint8Array): void {
    this.folder.put('i.qcow2', bytes);
  }

  /** What `qemu-img check` counts; the image must be one that it can check. */
  check(): { corruptions: number; leaks: number } {
    const figures = qemuChecks(this.folder.path, 'i.qcow2');
    expect(figures, 'qemu-img can check the image').toMatchObject({ checkErrors: 0 });
    return { corruptions: figures!.corruptions, leaks: figures!.leaks };
  }

  /** Releases the clusters that are counted and not referred to. */
  repairLeaks(): void {
    this.folder.img('check', '-q', '-r', 'leaks', 'i.qcow2');
  }

  /** The bitmaps that `qemu-img info` lists. */
  bitmaps(): QemuBitmap[] {
    return JSON.parse(this.folder.img('info', '--output=json', 'i.qcow2'))['format-specific'].data.bitmaps ?? [];
  }

  /** The ranges that QEMU finds dirty in a bitmap. */
  dirty(name: string): Range[] {
    const run = (tool: string, args: readonly string[]): string =>
      tool === 'qemu-img' ? this.folder.img(...args) : runToolOrThrow(tool, args, this.folder.path);
    return dirtyRanges(run, 'i.qcow2', name);
  }
}
