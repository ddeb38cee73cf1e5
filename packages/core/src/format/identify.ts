/** Recognises files that are not qcow2, so that errors can name their format. */
import { viewOf } from './bytes.js';
import { MAGIC } from './header.js';

/** The magic bytes of a format, at the offset `at` of the file. */
interface Signature {
  readonly at: number;
  readonly bytes: readonly number[];
  readonly what: string;
}

const text = (value: string): number[] => [...value].map((character) => character.charCodeAt(0));

/** Offset of the identifier of an ISO 9660 volume descriptor: sector 16 of 2048 bytes, after the type byte. */
const ISO_AT = 16 * 2048 + 1;
/** Offset of the magic of ext2, ext3 and ext4: 56 bytes into the superblock at 1024. */
const EXT_AT = 1024 + 56;

/** In order of precedence: containers, then contents of raw disks, boot sectors last. */
const SIGNATURES: readonly Signature[] = [
  { at: 0, bytes: text('KDMV'), what: 'a VMware disk (VMDK)' },
  { at: 0, bytes: text('COWD'), what: 'a VMware ESX disk (VMDK)' },
  { at: 0, bytes: text('# Disk DescriptorFile'), what: 'a VMware disk descriptor (VMDK)' },
  { at: 64, bytes: [0x7f, 0x10, 0xda, 0xbe], what: 'a VirtualBox disk (VDI)' },
  { at: 0, bytes: text('vhdxfile'), what: 'a Hyper-V disk (VHDX)' },
  { at: 0, bytes: text('conectix'), what: 'a Virtual PC disk (VHD)' },
  { at: 0, bytes: text('QED\0'), what: 'a QED disk' },
  { at: 0, bytes: text('WithoutFreeSpace'), what: 'a Parallels disk' },
  { at: 0, bytes: text('WithouFreSpacExt'), what: 'a Parallels disk' },
  { at: 0, bytes: [0x4c, 0x55, 0x4b, 0x53, 0xba, 0xbe], what: 'a raw LUKS volume' },
  { at: 0, bytes: [0x1f, 0x8b], what: 'a gzip archive; unpack it first' },
  { at: 0, bytes: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], what: 'an xz archive; unpack it first' },
  { at: 0, bytes: [0x28, 0xb5, 0x2f, 0xfd], what: 'a zstd archive; unpack it first' },
  { at: 0, bytes: text('BZh'), what: 'a bzip2 archive; unpack it first' },
  { at: 0, bytes: [0x50, 0x4b, 0x03, 0x04], what: 'a zip archive; unpack it first' },
  { at: 0, bytes: [0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c], what: 'a 7-Zip archive; unpack it first' },
  { at: 257, bytes: text('ustar'), what: 'a tar archive; unpack it first' },
  { at: ISO_AT, bytes: text('CD001'), what: 'an ISO 9660 image (CD or DVD)' },
  { at: 512, bytes: text('EFI PART'), what: 'a raw disk with a GPT partition table' },
  { at: EXT_AT, bytes: [0x53, 0xef], what: 'a raw disk with an ext file system' },
  { at: 3, bytes: text('NTFS    '), what: 'a raw disk with an NTFS file system' },
  { at: 510, bytes: [0x55, 0xaa], what: 'a raw disk with a boot sector' },
];

/** Length of the head that {@link identify} examines, bytes. */
export const IDENTIFY_HEAD_BYTES: number = ISO_AT + 5;
/** Length of the tail that it examines, bytes: a fixed VHD is a raw disk with a footer. */
export const IDENTIFY_TAIL_BYTES = 512;

/**
 * Returns the format of a file that is not qcow2, in words that follow "this is", or null when it is not recognised.
 * `head` are its first bytes, `tail` its last.
 */
export function identify(head: Uint8Array, tail: Uint8Array): string | null {
  if (head.length === 0) return 'an empty file';
  if (head.length >= 8 && viewOf(head).getUint32(0) === MAGIC) {
    const version = viewOf(head).getUint32(4);
    return version === 1
      ? 'a qcow image of version 1, an older format'
      : `a qcow image of the unknown version ${version}`;
  }
  for (const { at, bytes, what } of SIGNATURES) {
    if (startsWith(head, at, bytes)) return what;
  }
  if (startsWith(tail, Math.max(0, tail.length - 512), text('conectix')))
    return 'a Virtual PC disk (VHD) of fixed size';
  if (head.every((byte) => byte === 0)) return 'a raw disk, or a file of zeros';
  if (looksLikeText(head)) return 'a text file';
  return null;
}

function startsWith(head: Uint8Array, at: number, bytes: readonly number[]): boolean {
  return at + bytes.length <= head.length && bytes.every((byte, index) => head[at + index] === byte);
}

/** True if the first 512 bytes are all printable ASCII, white space, or bytes over 127 (UTF-8). */
function looksLikeText(head: Uint8Array): boolean {
  return head.subarray(0, 512).every((byte) => byte >= 32 || (byte >= 9 && byte <= 13));
}
