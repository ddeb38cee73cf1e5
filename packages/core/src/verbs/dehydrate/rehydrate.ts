/** Writes a dehydrated image to a device: its metadata where they were, and holes in place of the guest's data. */

import type { BlockDevice, Transfer } from '../../api/device.js';
import type { Openable } from '../../api/openable.js';
import type { OperationOptions } from '../../api/options.js';
import { requireOptions } from '../../arguments.js';
import { progressOf } from '../../engine/async/progress.js';
import { Qcow2Error } from '../../errors.js';
import {
  corruptContainer,
  DEHYDRATED_HEADER_BYTES,
  decodeDehydratedHeader,
  decodeRecordHeader,
  RECORD_HEADER_BYTES,
} from '../../format/dehydrated.js';
import { lockForWriting, requireDevice } from '../../sources/written-files.js';
import { isZero } from '../zero-bytes.js';
import { cancelUnread, DehydratedFile } from './dehydrated-file.js';

/** Bytes, and transfers, that are written in one batch. */
const BATCH_BYTES = 1024 * 1024;
const BATCH_TRANSFERS = 4096;
/** Zeros are left out in blocks of this length: they become holes where the device has any. Bytes. */
const BLOCK = 4096;
/** The first sector, without which the device contains no image, is written last. Bytes. */
const HEAD_BYTES = 512;

/**
 * Writes a dehydrated image, from `Disk.dehydrate`, to an empty device. It has the length of the original file and all
 * of its metadata, and zeros in place of the guest's data. `check` of it reports what it reported of the original. The
 * header is written last, after a flush, so that a crash leaves no image instead of a partial one. If it fails, the
 * device is truncated to nothing. A stream is read to its end, or cancelled with the error.
 *
 * @throws {@link Qcow2Error} `exists` when the device is not empty, `corrupt` when the dehydrated image is damaged or
 *   cut short, with the offset in the decompressed file in `details.at`, and when it is another kind of file,
 *   `unsupported` for a version that is not known, `locked` when an image of this process writes to the device, and the
 *   errors of the source and of the device; TypeError for an argument that is neither openable nor a stream, and for a
 *   device that is none; the signal's reason when it aborts.
 *
 * @example
 * ```ts
 * import { bufferDevice, Qcow2Image, rehydrate } from 'qcow2';
 *
 * const device = bufferDevice();
 * await rehydrate(file, device);
 * const image = await Qcow2Image.open(device);
 * console.log((await image.check()).findings);
 * ```
 */
export async function rehydrate(
  from: Openable | ReadableStream<Uint8Array>,
  device: BlockDevice,
  options: OperationOptions = {},
): Promise<void> {
  try {
    requireOptions(options);
    requireDevice('device', device);
  } catch (error) {
    cancelUnread(from, error);
    throw error;
  }
  const file = await DehydratedFile.open(from, options.signal);
  let release = (): void => {};
  try {
    release = hold(device);
    options.signal?.throwIfAborted();
    const header = await file.take(DEHYDRATED_HEADER_BYTES);
    const fileSize = decodeDehydratedHeader(header);
    await write(file, device, fileSize, options).catch(async (error: unknown) => {
      // The first error matters more than a device that cannot be emptied.
      await Promise.resolve(device.truncate(0)).catch(() => {});
      throw error;
    });
    await file.close();
  } catch (error) {
    await file.cancel(error);
    throw error;
  } finally {
    release();
  }
}

/** Locks the device, which must be empty. Returns a function that releases it. */
function hold(device: BlockDevice): () => void {
  const release = lockForWriting(device, 'device');
  if (device.size === 0) return release;
  release();
  const { size } = device;
  throw new Qcow2Error('exists', `The device holds ${size} bytes. Pass an empty one.`, { what: 'device', size });
}

async function write(
  file: DehydratedFile,
  device: BlockDevice,
  fileSize: number,
  options: OperationOptions,
): Promise<void> {
  const progress = progressOf(options, 'rehydrate', fileSize);
  const writes = new SparseWrites(device);
  await device.truncate(fileSize);
  for (let end = 0; ; ) {
    options.signal?.throwIfAborted();
    const { at } = file;
    const { offset, length } = decodeRecordHeader(await file.take(RECORD_HEADER_BYTES), at, end, fileSize);
    if (length === 0) break;
    await writes.add(offset, await file.take(length));
    end = offset + length;
    if (end < fileSize) progress(end);
  }
  const { at } = file;
  // The end of the compressed file has its checksum.
  if (!(await file.ended())) throw corruptContainer('end', at, 'There are bytes behind the last record.');
  options.signal?.throwIfAborted();
  progress(fileSize);
  await writes.finish();
}

/** Writes to an empty device: leaves out zeros, and keeps back its first sector until the rest has been flushed. */
class SparseWrites {
  readonly #device: BlockDevice;
  readonly #head = new Uint8Array(HEAD_BYTES);
  #transfers: Transfer[] = [];
  #bytes = 0;

  constructor(device: BlockDevice) {
    this.#device = device;
  }

  async add(offset: number, bytes: Uint8Array): Promise<void> {
    const inHead = Math.min(bytes.length, Math.max(0, HEAD_BYTES - offset));
    if (inHead > 0) this.#head.set(bytes.subarray(0, inHead), offset);
    for (const transfer of withoutZeros(offset + inHead, bytes.subarray(inHead))) {
      this.#transfers.push(transfer);
      this.#bytes += transfer.bytes.length;
    }
    if (this.#bytes >= BATCH_BYTES || this.#transfers.length >= BATCH_TRANSFERS) await this.#write();
  }

  async finish(): Promise<void> {
    await this.#write();
    await this.#device.flush();
    await this.#device.write([{ at: 0, bytes: this.#head.subarray(0, Math.min(HEAD_BYTES, this.#device.size)) }]);
    await this.#device.flush();
  }

  async #write(): Promise<void> {
    if (this.#transfers.length > 0) await this.#device.write(this.#transfers);
    this.#transfers = [];
    this.#bytes = 0;
  }
}

/** The parts of `bytes` that are not zeros, in whole blocks of the file; adjacent blocks are joined. */
function* withoutZeros(at: number, bytes: Uint8Array): Generator<Transfer, void, undefined> {
  let from = 0;
  for (let start = 0; start < bytes.length; ) {
    const end = Math.min(bytes.length, start + BLOCK - ((at + start) % BLOCK));
    if (isZero(bytes, start, end)) {
      if (start > from) yield { at: at + from, bytes: bytes.subarray(from, start) };
      from = end;
    }
    start = end;
  }
  if (bytes.length > from) yield { at: at + from, bytes: bytes.subarray(from) };
}
