/** Files that are not qcow2: each is refused as `not-qcow2`, with words that say what it is. */
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { QemuFolder } from '../support/qemu.js';
import { handle } from './handle.js';

const folder = new QemuFolder('foreign');

/** A file of `length` bytes with some of them set. */
function file(
  length: number,
  ...parts: readonly (readonly [at: number, bytes: string | readonly number[]])[]
): Uint8Array {
  const bytes = new Uint8Array(length);
  for (const [at, part] of parts) bytes.set(typeof part === 'string' ? new TextEncoder().encode(part) : part, at);
  return bytes;
}

/** An image as qemu-img itself makes it. */
function made(format: string, options = ''): Uint8Array {
  folder.img('create', '-q', '-f', format, ...(options ? ['-o', options] : []), 'disk', '1m');
  return folder.get('disk');
}

const foreign: readonly [string, () => Uint8Array, RegExp][] = [
  ['qcow version 1', () => made('qcow'), /version 1/],
  ['VMDK', () => made('vmdk'), /VMDK/],
  ['a VMDK descriptor', () => file(600, [0, '# Disk DescriptorFile\nversion=1\n']), /VMDK/],
  ['VDI', () => made('vdi'), /VDI/],
  ['dynamic VHD', () => made('vpc'), /VHD/],
  ['fixed VHD, recognised by its last sector', () => made('vpc', 'subformat=fixed'), /VHD/],
  ['VHDX', () => made('vhdx'), /VHDX/],
  ['ISO 9660', () => file(40_000, [32_769, 'CD001']), /ISO/],
  ['a raw disk with a boot sector', () => file(4096, [510, [0x55, 0xaa]]), /raw disk/],
  ['a raw disk with GPT', () => file(4096, [510, [0x55, 0xaa]], [512, 'EFI PART']), /raw disk.*GPT/],
  ['gzip', () => new Uint8Array(gzipSync('some disk')), /gzip/],
  ['xz', () => file(100, [0, [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]]), /xz/],
  ['nothing', () => file(0), /empty/],
  ['text', () => new TextEncoder().encode('Dear disk,\n\nplease open.\n'), /text/],
  ['zeros', () => file(4096), /zeros|raw/],
  ['three bytes', () => file(3, [0, [1, 2, 3]]), /not a qcow2/],
  ['half of the magic', () => file(2, [0, 'QF']), /text|not a qcow2/],
];

test.each(foreign)('%s', async (_, make, words) => {
  const outcome = await handle(make());
  expect(outcome.open).toBe('not-qcow2');
  expect(outcome.messages[0]).toMatch(words);
});

test('an unknown version is unsupported and named', async () => {
  const outcome = await handle(file(200, [0, [0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 4]]));
  expect(outcome.open).toBe('unsupported');
  expect(outcome.messages[0]).toMatch(/version is 4/);
});
