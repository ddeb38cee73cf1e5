/**
 * Owns the calls of qemu-img and qemu-io by tests: in a folder of their own, so that every name in an image is relative
 * to it.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

/** What a tool said. */
export interface Said {
  readonly status: number | null;
  readonly out: string;
  readonly error: string;
}

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
    return this.#run('qemu-img', args);
  }

  /** Runs qemu-img, which must succeed; answers what it prints. */
  img(...args: readonly string[]): string {
    return succeeded(`qemu-img ${args.join(' ')}`, this.#run('qemu-img', args));
  }

  /** Runs commands of qemu-io on an image, discards passed on; every one of them must succeed. */
  io(file: string, ...commands: readonly string[]): string {
    const script = commands.flatMap((command) => ['-c', command]);
    return succeeded(
      `qemu-io ${commands.join('; ')}`,
      this.#run('qemu-io', ['-d', 'unmap', '-f', 'qcow2', ...script, file]),
    );
  }

  /** The guest's bytes of an image, or of one of its snapshots, as qemu-img reads them. */
  raw(file: string, snapshot?: string): Uint8Array<ArrayBuffer> {
    const at = snapshot === undefined ? [] : ['-l', snapshot];
    this.img('convert', ...at, '-f', 'qcow2', '-O', 'raw', file, `${file}.as-raw`);
    return this.get(`${file}.as-raw`);
  }

  #run(tool: string, args: readonly string[]): Said {
    const { status, stdout, stderr, error } = spawnSync(tool, args, { cwd: this.path, encoding: 'utf8' });
    if (error !== undefined) throw error;
    return { status, out: stdout, error: stderr };
  }
}

function succeeded(call: string, { status, out, error }: Said): string {
  if (status !== 0) throw new Error(`${call} answered ${status}: ${out}${error}`);
  return out;
}
