/** Encodes and decodes the container of a dehydrated image, as it is before compression (docs/dehydrated.md). */
import { Qcow2Error } from '../errors.js';
import { getUint64, hex, setUint64, viewOf } from './bytes.js';

const MAGIC: readonly number[] = [0x71, 0x63, 0x6f, 0x77, 0x32, 0x64, 0x72, 0x79]; // "qcow2dry"
const VERSION = 1;

/** Length of the header: magic, version, length of the image file. Bytes. */
export const DEHYDRATED_HEADER_BYTES = 20;
/** Length of a record before its bytes: offset and length. Bytes. */
export const RECORD_HEADER_BYTES = 12;
/** The most bytes of one record, so that a reader can keep one in memory. */
export const MAX_RECORD_BYTES: number = 1024 * 1024;

/** A record: `length` bytes of the image file from `offset` on. The one of length 0 is the last. */
export interface DehydratedRecord {
  readonly offset: number;
  readonly length: number;
}

/** Encodes the header; the image file has `fileSize` bytes. */
export function encodeDehydratedHeader(fileSize: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(DEHYDRATED_HEADER_BYTES);
  bytes.set(MAGIC);
  viewOf(bytes).setUint32(8, VERSION);
  setUint64(viewOf(bytes), 12, fileSize);
  return bytes;
}

/**
 * Decodes the header; returns the length of the image file, in bytes.
 *
 * @throws {@link Qcow2Error} `corrupt` when it is no header of a dehydrated image, `unsupported` for another version.
 */
export function decodeDehydratedHeader(bytes: Uint8Array): number {
  if (!MAGIC.every((byte, index) => bytes[index] === byte)) {
    throw corruptContainer('header', 0, 'This is not a dehydrated image.');
  }
  const version = viewOf(bytes).getUint32(8);
  if (version !== VERSION) {
    const what = 'header of the dehydrated image';
    const message = `The dehydrated image has version ${version}; ${VERSION} is known.`;
    throw new Qcow2Error('unsupported', message, { what, at: 8 });
  }
  const fileSize = getUint64(viewOf(bytes), 12);
  if (Number.isSafeInteger(fileSize)) return fileSize;
  throw corruptContainer('header', 12, `The image file would be ${fileSize} bytes long.`);
}

/** Encodes the header of a record at `at` in `view`. */
export function encodeRecordHeader(view: DataView, at: number, { offset, length }: DehydratedRecord): void {
  setUint64(view, at, offset);
  view.setUint32(at + 8, length);
}

/**
 * Decodes the header of a record, which is at `at` in the container. `end` is the end of the record before it in the
 * image file, whose length is `fileSize`.
 *
 * @throws {@link Qcow2Error} `corrupt` when the record is too long, out of order, or not inside the file.
 */
export function decodeRecordHeader(bytes: Uint8Array, at: number, end: number, fileSize: number): DehydratedRecord {
  const offset = getUint64(viewOf(bytes), 0);
  const length = viewOf(bytes).getUint32(8);
  const refuse = (finding: string) => corruptContainer('record', at, `A record ${finding}.`);
  if (length === 0 && offset !== fileSize) throw refuse(`ends the file at ${hex(offset)}, not at ${hex(fileSize)}`);
  if (length > MAX_RECORD_BYTES) throw refuse(`has ${length} bytes; ${MAX_RECORD_BYTES} is the most`);
  if (offset < end) throw refuse(`begins at ${hex(offset)}, before the end of another, ${hex(end)}`);
  if (offset + length > fileSize) throw refuse(`at ${hex(offset)} runs past the end of the file, ${hex(fileSize)}`);
  return { offset, length };
}

/** The error of a damaged container; `at` is the offset in it, before compression. */
export function corruptContainer(part: string, at: number, message: string, cause?: unknown): Qcow2Error {
  const details = { what: `${part} of the dehydrated image`, at };
  return new Qcow2Error('corrupt', message, details, cause === undefined ? {} : { cause });
}
