/** Takes the picture of the page that the README shows: a file system, an overlay over it, as the built page draws them. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright';
import { preview } from 'vite';
import { launchOptions } from './find-browsers.js';
import { findProgram } from './find-program.js';
import { root } from './run.js';

const picture = `${root}docs/page.png`;
const folder = await mkdtemp(join(tmpdir(), 'qcow2-picture-'));
try {
  await takePicture(await makeImages());
} finally {
  await rm(folder, { recursive: true });
}
console.log(`${picture} shows the page as it is built now.`);

/**
 * Runs a program in the temporary folder, so that the images name each other without a path.
 *
 * @param {string} name
 * @param {readonly string[]} args
 */
function tool(name, ...args) {
  const program = findProgram(name);
  if (!program) throw new Error(`${name} is not installed.`);
  execFileSync(program, args, { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
}

/** An ext4 file system with a real tree of files, compressed, and an overlay in which a guest has worked. */
async function makeImages() {
  const files = await realpath(`${root}node_modules/typescript`);
  tool('mkfs.ext4', '-q', '-d', files, 'disk.raw', '256M');
  tool('qemu-img', 'convert', '-O', 'qcow2', 'disk.raw', 'debian.qcow2');
  tool('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', 'debian.qcow2', '-F', 'qcow2', 'server.qcow2');
  const written = [9, 40, 41, 66, 70, 118, 171].flatMap((at, index) => ['-c', `write -q ${at}M ${(index % 3) + 1}M`]);
  const packed = Array.from({ length: 40 }, (_, index) => ['-c', `write -q -c ${210 * 1024 + index * 64}k 64k`]).flat();
  tool('qemu-io', '-f', 'qcow2', ...written, ...packed, '-c', 'write -q -z 96M 14M', 'server.qcow2');
  tool('qemu-img', 'snapshot', '-c', 'before the upgrade', 'server.qcow2');
  tool('qemu-io', '-f', 'qcow2', '-c', 'write -q 182M 6M', 'server.qcow2');
  return [join(folder, 'server.qcow2'), join(folder, 'debian.qcow2')];
}

/** @param {readonly string[]} images */
async function takePicture(images) {
  const server = await preview({ root: `${root}demo`, preview: { host: '127.0.0.1' }, logLevel: 'warn' });
  const browser = await chromium.launch(launchOptions('chromium'));
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 1080 }, colorScheme: 'light' });
    await page.goto(String(server.resolvedUrls?.local[0] ?? server.resolvedUrls?.network[0]));
    await page.locator('input[type=file]').setInputFiles([...images]);
    await page.getByText(/A cell is .* of the disk\./).waitFor();
    await page.getByRole('slider').hover({ position: { x: 330, y: 45 } });
    await page.screenshot({ path: picture });
  } finally {
    await browser.close();
    await server.close();
  }
}
