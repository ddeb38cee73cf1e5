/** Owns the calls of qemu-img and qemu-io by which golden images are made and described. */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { dirtyRanges } from '../support/dirty-ranges.js';

/**
 * What QEMU says when the work by which it measures how many iterations a LUKS key shall take was over before the
 * system's clock of CPU time moved: on a machine with a coarse clock it depends on chance.
 */
const CLOCK_STOOD_STILL = 'Unable to get accurate CPU usage';
/** How often a measurement that chance spoiled is tried in all. */
const MAX_TRIES = 50;

/**
 * Runs one of QEMU's tools inside `folder`, so that every name on its command line and in its images is relative to it.
 */
function run(tool, folder, args, tries = MAX_TRIES) {
  try {
    return execFileSync(tool, args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (cause) {
    if (cause.code === 'ENOENT') throw new Error(`${tool} is not installed: install qemu-utils (QEMU's disk tools)`);
    if (tries > 1 && cause.stderr?.includes(CLOCK_STOOD_STILL)) return run(tool, folder, args, tries - 1);
    throw new Error(`${tool} ${args.join(' ')} failed: ${cause.stderr ?? cause.message}`, { cause });
  }
}

/** The first line of `qemu-img --version`: images are made anew when it changes. */
export function qemuVersion() {
  return run('qemu-img', '.', ['--version']).split('\n')[0];
}

/** The bench on which one recipe works: QEMU's tools in the folder of the images, and the recipe's own file names. */
export class Workbench {
  constructor(folder, name) {
    this.folder = folder;
    this.name = name;
    this.image = `${name}.qcow2`;
  }

  /** Name of a file that the image needs beside it. */
  beside(suffix) {
    return `${this.name}.${suffix}`;
  }

  img(...args) {
    return run('qemu-img', this.folder, args);
  }

  /** Runs qemu-io's commands on an image, discards passed on. */
  io(image, ...commands) {
    return run('qemu-io', this.folder, ['-d', 'unmap', ...commands.flatMap((command) => ['-c', command]), image]);
  }

  /** Arguments that give a passphrase the name `key`. */
  key(passphrase) {
    return ['--object', `secret,id=key,data=${passphrase}`];
  }

  /** Arguments that open the encrypted image with the passphrase named `key`. */
  keyed() {
    return ['--image-opts', `driver=qcow2,file.filename=${this.image},encrypt.key-secret=key`];
  }

  /** Runs qemu-io's commands on the encrypted image. */
  ioKeyed(passphrase, ...commands) {
    const script = commands.flatMap((command) => ['-c', command]);
    return run('qemu-io', this.folder, [...this.key(passphrase), ...script, ...this.keyed()]);
  }

  /** Runs qemu-io's commands and lets it die with the image open, as a power cut would. */
  crash(image, ...commands) {
    try {
      this.io(image, ...commands, 'abort');
    } catch {
      return; // the abort is the purpose
    }
    throw new Error('qemu-io survived its abort');
  }

  create(image, size, options = '', ...args) {
    this.img('create', '-q', '-f', 'qcow2', ...(options ? ['-o', options] : []), ...args, image, String(size));
  }

  write(file, bytes) {
    writeFileSync(join(this.folder, file), bytes);
  }

  /** Turns bytes into an image by `qemu-img convert`. */
  convert(bytes, image, options = '', ...args) {
    const source = this.beside('source.raw');
    this.write(source, bytes);
    this.img('convert', '-f', 'raw', '-O', 'qcow2', ...(options ? ['-o', options] : []), ...args, source, image);
  }

  read(file) {
    return readFileSync(join(this.folder, file));
  }

  /** Overwrites bytes of a file in place: for what qemu-img will not make but must read. */
  patch(file, offset, bytes) {
    const handle = openSync(join(this.folder, file), 'r+');
    writeSync(handle, Uint8Array.from(bytes), 0, bytes.length, offset);
    closeSync(handle);
  }

  /** Rewrites a file so that it has no holes: `qemu-img map` would look through to them. */
  fillHoles(file) {
    const filled = `${file}.filled`;
    this.write(filled, this.read(file));
    renameSync(join(this.folder, filled), join(this.folder, file));
  }

  /** A bench with a copy of the image to which a snapshot has been applied; QEMU wants its bitmaps gone for that. */
  viewOf(snapshot, bitmaps) {
    const view = new Workbench(this.folder, `${this.name}.snapshot-${snapshot}`);
    view.write(view.image, this.read(this.image));
    for (const { name } of bitmaps) view.img('bitmap', '--remove', view.image, name);
    view.img('snapshot', '-a', snapshot, view.image);
    view.fillHoles(view.image);
    return view;
  }

  removeImage() {
    rmSync(join(this.folder, this.image));
  }

  /** The ranges that a persistent bitmap marks. */
  dirty(bitmap) {
    return dirtyRanges((tool, args) => run(tool, this.folder, args), this.image, bitmap);
  }
}
