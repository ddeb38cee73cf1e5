/** Owns the questions to qemu-img about damaged images: which it may see at all, and what it reads of them. */
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { promisify } from 'node:util';
import { get } from '../support/big-endian.js';
import type { QemuFolder } from '../support/qemu.js';

/** Whether qemu-img may see it: the image names no file, needs no key, and its disk is small. */
export function isHarmless(file: Uint8Array): boolean {
  const namesNothing = get(file, 8, 8) === 0n && (get(file, 72, 8) & 4n) === 0n && !Buffer.from(file).includes('DATA');
  return namesNothing && get(file, 32, 4) === 0n && get(file, 24, 8) <= 1_048_576n;
}

/** What qemu-img, working in `folder`, reads, or null when it reads nothing. */
export async function qemuReads(folder: QemuFolder, file: Uint8Array): Promise<Uint8Array | null> {
  folder.put('image.qcow2', file);
  rmSync(folder.at('image.raw'), { force: true });
  const args = ['convert', '-f', 'qcow2', '-O', 'raw', 'image.qcow2', 'image.raw'];
  try {
    await promisify(execFile)('qemu-img', args, { cwd: folder.path, timeout: 10_000 });
    return folder.get('image.raw');
  } catch {
    return null; // it refuses too: there is nothing to compare with
  }
}
