/**
 * Owns the calls of qemu-img and qemu-io by tests: in a folder of their own, so that every name in an image is relative
 * to it.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { runTool, runToolOrThrow, type Said } from './run-tool.js';

/** A folder of images, and QEMU's tools in it. */
export class QemuFolder {
  readonly path: string;

  /** The folder goes when the tests of the file are over. */
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

  /** Runs qemu-img whatever it answers. */
  ask(...args: readonly string[]): Said {
    return runTool('qemu-img', args, this.path);
  }

  /** Runs qemu-img, which must succeed; answers what it prints. */
  img(...args: readonly string[]): string {
    return runToolOrThrow('qemu-img', args, this.path);
  }

  /** Runs commands of qemu-io on an image, discards passed on; every one of them must succeed. */
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
