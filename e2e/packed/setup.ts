/** Makes, once for all tests, the application that they share, and the image that it reads. */
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram } from '../../scripts/find-program.js';
import { makeFreshApp } from './fresh-app.js';
import { GUEST_BYTES, share } from './shared-app.js';

/** Makes the application; the function that comes back removes it. */
export default async function setup(): Promise<() => void> {
  const app = await makeFreshApp();
  share({ app, sha256: makeImage(app) });
  return () => rmSync(app, { recursive: true, force: true });
}

/** Puts an image where the application serves it: half random, half compressible, all compressed. */
function makeImage(app: string): string {
  const folder = join(app, 'public');
  mkdirSync(folder);
  const raw = Buffer.concat([randomBytes(GUEST_BYTES / 2), Buffer.alloc(GUEST_BYTES / 2, 'qcow2 ')]);
  writeFileSync(join(folder, 'disk.raw'), raw);
  const options = ['-c', '-f', 'raw', '-O', 'qcow2', '-o', 'cluster_size=4096', 'disk.raw', 'image.qcow2'];
  execFileSync(findProgram('qemu-img') ?? 'qemu-img', ['convert', ...options], { cwd: folder });
  rmSync(join(folder, 'disk.raw'));
  return createHash('sha256').update(raw).digest('hex');
}
