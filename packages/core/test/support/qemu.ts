/** Runs qemu-img and qemu-io for tests, in a folder of their own, so that every name in an image is relative to it. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { runTool, runToolOrThrow, type ToolResult } from './run-tool.js';

/** What qemu-img prints while a qemu-nbd whose client has left still holds the image. */
const LOCKED = 'Failed to get "write" lock';
/** How long that may take, milliseconds. */
const MAX_WAIT_MS = 30_000;
const PAUSE = new Int32Array(new SharedArrayBuffer(4));

/** A folder of images, and QEMU's tools in it. */
export class QemuFolder {
  readonly path: string;

  /** The folder is removed after the tests of the file. */
  constructor(name: string) {
    this.path = mkdtempSync(join(tmpdir(), `qcow2-${name}-`));
    afterAll(() => rmSync(this.path, { recursive: true }));
  }

  at(file: string): string {
    return join(this.path, file);
  }

  put(file: string, bytes: Uint8Array): void {
    writeFileSync(this.at(file), bytes);
  }

  get(file: string): Uint8Array<ArrayBuffer> {
    return new Uint8Array(readFileSync(this.at(file)));
  }

  /** Runs qemu-img, which may fail. */
  tryImg(...args: readonly string[]): ToolResult {
    return runTool('qemu-img', args, this.path);
  }

  /** Runs qemu-img, which must succeed; returns what it prints. */
  img(...args: readonly string[]): string {
    for (const until = Date.now() + MAX_WAIT_MS; ; Atomics.wait(PAUSE, 0, 0, 20)) {
      const { status, out, error } = this.tryImg(...args);
      if (status === 0) return out;
      if (!error.includes(LOCKED) || Date.now() > until) throw new Error(`qemu-img ${args.join(' ')}: ${out}${error}`);
    }
  }

  /** Runs commands of qemu-io on an image, discards passed on; each of them must succeed. */
  io(file: string, ...commands: readonly string[]): string {
    const script = commands.flatMap((command) => ['-c', command]);
    return runToolOrThrow('qemu-io', ['-d', 'unmap', '-f', 'qcow2', ...script, file], this.path);
  }

  /** The guest's bytes of an image, or of one of its snapshots, as qemu-img reads them. */
  raw(file: string, snapshot?: string): Uint8Array<ArrayBuffer> {
    const at = snapshot === undefined ? [] : ['-l', snapshot];
    this.img('convert', ...at, '-f', 'qcow2', '-O', 'raw', file, `${file}.as-raw`);
    return this.get(`${file}.as-raw`);
  }
}
