/** Takes the README's screenshot of the built page: a file system and an overlay over it. */
import { execFileSync } from 'node:child_process';
import { cp, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright';
import { preview } from 'vite';
import { launchOptions } from './find-browsers.js';
import { findProgram } from './find-program.js';
import { root } from './run.js';

/** Contents of the file system: packages that are already installed. */
const FILES = ['typescript', 'vite', 'vitest', 'playwright', 'fast-check'];
const picture = `${root}docs/page.png`;
const folder = await mkdtemp(join(tmpdir(), 'qcow2-picture-'));
try {
  await takePicture(await makeImages());
} finally {
  await rm(folder, { recursive: true });
}
console.log(`${picture} shows the page as it is built now.`);

/**
 * Runs a program in the temporary folder, so that the images refer to each other without a path.
 *
 * @param {string} name
 * @param {readonly string[]} args
 */
function tool(name, ...args) {
  const program = findProgram(name);
  if (!program) throw new Error(`${name} is not installed.`);
  execFileSync(program, args, { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
}

/** Makes a compressed image of an ext4 file system with a real tree of files, and an overlay with changes. */
async function makeImages() {
  for (const name of FILES) {
    const source = await realpath(`${root}node_modules/${name}`);
    await cp(source, join(folder, 'files', name), { recursive: true, dereference: true });
  }
  tool('mkfs.ext4', '-q', '-d', 'files', 'disk.raw', '128M');
  tool('qemu-img', 'convert', '-O', 'qcow2', 'disk.raw', 'debian.qcow2');
  tool('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', 'debian.qcow2', '-F', 'qcow2', 'server.qcow2');
  const written = [4, 21, 36, 37, 57, 84, 85, 118].flatMap((at, index) => [
    '-c',
    `write -q ${at}M ${(index % 3) + 1}M`,
  ]);
  const packed = Array.from({ length: 56 }, (_, index) => ['-c', `write -q -c ${98 * 1024 + index * 64}k 64k`]).flat();
  tool('qemu-io', '-f', 'qcow2', ...written, ...packed, '-c', 'write -q -z 66M 9M', 'server.qcow2');
  tool('qemu-img', 'snapshot', '-c', 'before the upgrade', 'server.qcow2');
  tool('qemu-io', '-f', 'qcow2', '-c', 'write -q 90M 3M', 'server.qcow2');
  return [join(folder, 'server.qcow2'), join(folder, 'debian.qcow2')];
}

/** @param {readonly string[]} images */
async function takePicture(images) {
  const server = await preview({ root: `${root}demo`, preview: { host: '127.0.0.1' }, logLevel: 'warn' });
  const browser = await chromium.launch(launchOptions('chromium'));
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 1080 }, colorScheme: 'light' });
    await page.goto(String(server.resolvedUrls?.local[0] ?? server.resolvedUrls?.network[0]));
    await page
      .locator('input[type=file]')
      .first()
      .setInputFiles([...images]);
    await page.getByText(/A cell is .* of the disk\./).waitFor();
    await page.getByRole('slider').hover({ position: { x: 760, y: 72 } });
    // Down to the end of the map; the rest of the page is cut off.
    const card = await page.getByRole('region', { name: 'Allocation map' }).boundingBox();
    await page.setViewportSize({ width: 1280, height: Math.ceil((card?.y ?? 0) + (card?.height ?? 1000)) + 16 });
    await page.screenshot({ path: picture });
  } finally {
    await browser.close();
    await server.close();
  }
}
