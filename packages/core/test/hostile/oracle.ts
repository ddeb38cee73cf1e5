/** Lets qemu-img read damaged images, those that do it no harm. */
import { rmSync } from 'node:fs';
import { get } from '../support/big-endian.js';
import type { QemuFolder } from '../support/qemu.js';
import { runToolLimited } from '../support/run-tool.js';

/** Whether qemu-img may see it: the image names no file, needs no key, and its disk is small. */
export function isHarmless(file: Uint8Array): boolean {
  const namesNothing = get(file, 8, 8) === 0n && (get(file, 72, 8) & 4n) === 0n && !Buffer.from(file).includes('DATA');
  return namesNothing && get(file, 32, 4) === 0n && get(file, 24, 8) <= 1_048_576n;
}

/** What qemu-img, working in `folder`, reads, or null when it reads nothing. */
export function qemuReads(folder: QemuFolder, file: Uint8Array): Uint8Array | null {
  folder.put('image.qcow2', file);
  rmSync(folder.at('image.raw'), { force: true });
  const convert = ['convert', '-f', 'qcow2', '-O', 'raw', 'image.qcow2', 'image.raw'];
  const { status } = runToolLimited('qemu-img', convert, folder.path);
  // It refuses too: there is nothing to compare with.
  return status === 0 ? folder.get('image.raw') : null;
}
