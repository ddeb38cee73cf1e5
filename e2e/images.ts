/** Generates the images that the tests open, with qemu-img and mkfs.ext4, once for each worker of the test runner. */
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Includes the folders of mkfs.ext4 on systems that keep it off an ordinary user's path. */
const PATH = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`;

/** Runs one of the machine's tools; returns its output. */
async function tool(name: string, ...args: string[]): Promise<string> {
  const { stdout } = await run(name, args, { env: { ...process.env, PATH } });
  return stdout;
}

/** Runs qemu-img; returns its output. */
export function qemuImg(...args: string[]): Promise<string> {
  return tool('qemu-img', ...args);
}

/** Runs commands of qemu-io on a qcow2 image. */
export async function qemuIo(path: string, ...commands: string[]): Promise<void> {
  await tool('qemu-io', '-f', 'qcow2', ...commands.flatMap((command) => ['-c', command]), path);
}

/** The SHA-256 of a file, in hexadecimal. */
export async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest('hex');
}

/** A folder of images, each generated on first use. */
export class Images {
  readonly folder: string;
  readonly #made = new Map<string, Promise<string>>();

  constructor(folder: string) {
    this.folder = folder;
  }

  /** A 64 MiB raw disk with an ext4 file system and some files on it. */
  disk(): Promise<string> {
    return this.#make('disk.raw', async (path) => {
      const files = join(this.folder, 'files');
      await mkdir(files);
      await writeFile(join(files, 'notes.txt'), 'All work and no play makes a dull disk.\n'.repeat(60_000));
      await writeFile(join(files, 'noise.bin'), randomBytes(9 * 2 ** 20 + 4321));
      await writeFile(join(files, 'empty'), '');
      await tool('mkfs.ext4', '-q', '-d', files, path, '64M');
    });
  }

  /** A 4 GiB disk with 256 MiB of data in eight places. */
  sparse(): Promise<string> {
    return this.#make('sparse.qcow2', async (path) => {
      await qemuImg('create', '-q', '-f', 'qcow2', path, '4G');
      const writes = Array.from({ length: 8 }, (_, place) => ['-c', `write -q -P ${place + 1} ${place * 512}M 32M`]);
      await tool('qemu-io', ...writes.flat(), path);
    });
  }

  /** The sparse disk as qcow2. */
  plain(): Promise<string> {
    return this.#converted('plain.qcow2');
  }

  /** The sparse disk as qcow2, compressed. */
  compressed(): Promise<string> {
    return this.#converted('compressed.qcow2', '-c');
  }

  /** The SHA-256 of the output of `qemu-img convert -O raw`. */
  async rawDigest(image: string): Promise<string> {
    const raw = await this.#make(`${image.split('/').pop()}.expected`, async (path) => {
      await qemuImg('convert', '-f', 'qcow2', '-O', 'raw', image, path);
    });
    return sha256(raw);
  }

  /** Three layers: a raw base, an overlay, and an overlay over that, whose backing file name is a path. */
  async chain(): Promise<{ base: string; middle: string; leaf: string }> {
    const base = await this.#make('base.raw', (path) => writeFile(path, Buffer.alloc(8 * 2 ** 20, 'base ')));
    const middle = await this.#make('middle.qcow2', async (path) => {
      await qemuImg('create', '-q', '-f', 'qcow2', '-b', base, '-F', 'raw', path, '8M');
      await this.#write(path, 2 * 2 ** 20, 2 ** 20);
    });
    const leaf = await this.#make('leaf.qcow2', async (path) => {
      await qemuImg('create', '-q', '-f', 'qcow2', '-b', middle, '-F', 'qcow2', path);
      await this.#write(path, 4 * 2 ** 20, 2 ** 20);
    });
    return { base, middle, leaf };
  }

  /**
   * Two snapshots of a disk of 8 MiB, which then grew to 16 MiB and changed; an enabled bitmap that marks 3 MiB, and a
   * disabled one with a granularity of 128 KiB.
   */
  history(): Promise<string> {
    return this.#make('history.qcow2', async (path) => {
      await qemuImg('create', '-q', '-f', 'qcow2', path, '8M');
      await qemuIo(path, 'write -q -P 1 0 2M');
      await qemuImg('snapshot', '-c', 'first', path);
      await qemuIo(path, 'write -q -P 2 1M 2M');
      await qemuImg('snapshot', '-c', 'before the upgrade', path);
      await qemuImg('resize', '-q', path, '16M');
      await qemuImg('bitmap', '--add', '-g', '128k', path, 'stopped');
      await qemuIo(path, 'write -q -P 3 12M 100');
      await qemuImg('bitmap', '--disable', path, 'stopped');
      await qemuImg('bitmap', '--add', path, 'nightly');
      await qemuIo(path, 'write -q -P 4 0 3M');
    });
  }

  /** 4 MiB with some data, encrypted by LUKS. */
  encrypted(): Promise<string> {
    return this.#make('encrypted.qcow2', async (path) => {
      const secret = ['--object', 'secret,id=key,data=secret'];
      // QEMU refuses to create an image if a hash is too fast to measure, as faster ones than sha512 can be.
      const luks = 'encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10,encrypt.hash-alg=sha512';
      await qemuImg('create', '-q', ...secret, '-f', 'qcow2', '-o', luks, path, '4M');
      const opened = `driver=qcow2,file.filename=${path},encrypt.key-secret=key`;
      await tool('qemu-io', ...secret, '--image-opts', '-c', 'write -q -P 1 0 64k', opened);
    });
  }

  /** 100 GiB in clusters of 64 KiB, every one of them mapped, and data in a few. */
  huge(): Promise<string> {
    return this.#make('huge.qcow2', async (path) => {
      await qemuImg('create', '-q', '-f', 'qcow2', '-o', 'preallocation=metadata', path, '100G');
      await this.#write(path, 50 * 2 ** 30, 2 ** 20);
    });
  }

  /** 100 GiB with scattered data: every L2 table has some, and no two extents can be merged. */
  scattered(): Promise<string> {
    return this.#make('scattered.qcow2', async (path) => {
      await qemuImg('create', '-q', '-f', 'qcow2', path, '100G');
      const commands = Array.from({ length: 800 }, (_, index) => `write -q ${index * 128 * 2 ** 20} 64k`);
      await qemuIo(path, ...commands);
    });
  }

  /** 1 GiB, every cluster allocated: long enough to be cancelled. */
  large(): Promise<string> {
    return this.#make('large.qcow2', async (path) => {
      await qemuImg('create', '-q', '-f', 'qcow2', '-o', 'preallocation=falloc', path, '1G');
    });
  }

  /** 512 MiB, every cluster allocated: long enough to be interrupted, and short enough to be copied to its end. */
  long(): Promise<string> {
    return this.#make('long.qcow2', async (path) => {
      await qemuImg('create', '-q', '-f', 'qcow2', '-o', 'preallocation=falloc', path, '512M');
    });
  }

  /** A file of 4 TiB, nearly all of it a hole: too large to copy anywhere. */
  endless(): Promise<string> {
    return this.#make('endless.qcow2', async (path) => {
      await qemuImg('create', '-q', '-f', 'qcow2', path, '1G');
      await truncate(path, 4 * 2 ** 40);
    });
  }

  /** 8 TiB of unallocated clusters: too large to export as raw anywhere. */
  tooLarge(): Promise<string> {
    return this.#make('too-large.qcow2', async (path) => {
      await qemuImg('create', '-q', '-f', 'qcow2', path, '8T');
    });
  }

  /** A file with these bytes. */
  file(name: string, bytes: Uint8Array | string): Promise<string> {
    return this.#make(name, (path) => writeFile(path, bytes));
  }

  /** The first bytes of an image, like a download that stopped early. */
  truncated(length: number): Promise<string> {
    return this.#make(`cut-at-${length}.qcow2`, async (path) => {
      const source = await open(await this.plain());
      try {
        const head = Buffer.alloc(length);
        await source.read(head, 0, length, 0);
        await writeFile(path, head);
      } finally {
        await source.close();
      }
    });
  }

  #converted(name: string, ...options: string[]): Promise<string> {
    return this.#make(name, async (path) => {
      await qemuImg('convert', '-f', 'raw', '-O', 'qcow2', ...options, await this.disk(), path);
    });
  }

  async #write(path: string, offset: number, length: number): Promise<void> {
    await tool('qemu-io', '-f', 'qcow2', '-c', `write -q -P 0x5a ${offset} ${length}`, path);
  }

  #make(name: string, make: (path: string) => Promise<void>): Promise<string> {
    let made = this.#made.get(name);
    if (made === undefined) {
      const path = join(this.folder, name);
      made = make(path).then(() => path);
      this.#made.set(name, made);
    }
    return made;
  }
}
