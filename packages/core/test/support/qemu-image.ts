/** Owns the asking of QEMU about images with bitmaps: a folder of its own, in which qemu-img and qemu-nbd are run. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Range } from '../../src/index.js';
import { runTool, runToolOrThrow } from './run-tool.js';

/** A bitmap as `qemu-img info` lists it. */
export interface QemuBitmap {
  readonly name: string;
  readonly granularity: number;
  readonly flags: readonly string[];
}

/** What qemu-img says while a qemu-nbd whose client has left is still on its way out. */
const LOCKED = 'Failed to get "write" lock';
/** How long that may take, milliseconds. */
const MAX_WAIT = 30_000;
const PAUSE = new Int32Array(new SharedArrayBuffer(4));

/** A folder with one image in it, `i.qcow2`. */
export class QemuFolder {
  readonly #folder = mkdtempSync(join(tmpdir(), 'qcow2-bitmaps-'));
  #sockets = 0;

  remove(): void {
    rmSync(this.#folder, { recursive: true });
  }

  /** Runs qemu-img, which must succeed. */
  img(...args: string[]): string {
    for (const until = Date.now() + MAX_WAIT; ; Atomics.wait(PAUSE, 0, 0, 20)) {
      const { status, out, error } = runTool('qemu-img', args, this.#folder);
      if (status === 0) return out;
      if (!error.includes(LOCKED) || Date.now() > until) throw new Error(`qemu-img ${args.join(' ')}: ${error}`);
    }
  }

  /** Runs qemu-io commands on the image. */
  io(...commands: string[]): void {
    const args = commands.flatMap((command) => ['-c', command]);
    runToolOrThrow('qemu-io', ['-f', 'qcow2', ...args, 'i.qcow2'], this.#folder);
  }

  /** Makes the image, with bitmaps of these granularities by name. */
  create(options: string, size: number, bitmaps: Readonly<Record<string, number>>): void {
    this.img('create', '-q', '-f', 'qcow2', '-o', options, 'i.qcow2', String(size));
    for (const [name, granularity] of Object.entries(bitmaps)) {
      this.img('bitmap', '--add', '-g', String(granularity), 'i.qcow2', name);
    }
  }

  read(): Uint8Array {
    return readFileSync(join(this.#folder, 'i.qcow2'));
  }

  write(bytes: Uint8Array, name = 'i.qcow2'): void {
    writeFileSync(join(this.#folder, name), bytes);
  }

  /** What `qemu-img check` counts; the image itself must be possible to check. */
  check(): { corruptions: number; leaks: number } {
    const { out, error } = runTool('qemu-img', ['check', '--output=json', 'i.qcow2'], this.#folder);
    if (out === '') throw new Error(`qemu-img check failed: ${error}`);
    const { corruptions = 0, leaks = 0, 'check-errors': errors } = JSON.parse(out);
    expect(errors, out).toBe(0);
    return { corruptions, leaks };
  }

  /** The bitmaps that `qemu-img info` lists. */
  bitmaps(): QemuBitmap[] {
    return JSON.parse(this.img('info', '--output=json', 'i.qcow2'))['format-specific'].data.bitmaps ?? [];
  }

  /** The ranges that QEMU finds dirty in a bitmap: what its NBD server says of it. */
  dirty(name: string): Range[] {
    const socket = `${this.#sockets++}.sock`;
    // It goes away by itself when its one client has left.
    const options = ['--fork', '-r', '-f', 'qcow2', '-B', name, '-k', join(this.#folder, socket), 'i.qcow2'];
    runToolOrThrow('qemu-nbd', options, this.#folder);
    const server = `driver=nbd,server.type=unix,server.path=${socket},x-dirty-bitmap=qemu:dirty-bitmap:${name}`;
    const extents: { start: number; length: number; data: boolean }[] = JSON.parse(
      this.img('map', '--output=json', '--image-opts', server),
    );
    // That is how it shows them: dirty is what has no data.
    return merged(extents.filter(({ data }) => !data));
  }
}

/** Ranges as few as possible, in order. */
function merged(ranges: readonly Range[]): Range[] {
  const out: Range[] = [];
  for (const { start, length } of ranges) {
    const last = out.at(-1);
    if (last !== undefined && last.start + last.length === start) {
      out[out.length - 1] = { start: last.start, length: last.length + length };
    } else out.push({ start, length });
  }
  return out;
}

/** What a bitmap should say: a set of granules. */
export class BitmapModel {
  readonly #granularity: number;
  readonly #size: number;
  readonly #granules = new Set<number>();

  constructor(granularity: number, size: number) {
    this.#granularity = granularity;
    this.#size = size;
  }

  mark(offset: number, length: number): void {
    if (length === 0) return;
    const last = Math.floor((offset + length - 1) / this.#granularity);
    for (let granule = Math.floor(offset / this.#granularity); granule <= last; granule++) this.#granules.add(granule);
  }

  ranges(): Range[] {
    const ranges = [...this.#granules]
      .sort((a, b) => a - b)
      .map((granule) => {
        const start = granule * this.#granularity;
        return { start, length: Math.min(this.#granularity, this.#size - start) };
      });
    return merged(ranges);
  }
}
