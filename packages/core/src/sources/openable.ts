/** Owns the edge where whatever a caller hands in becomes a source. */
import type { BlockDevice, ByteSource } from '../api/device.js';
import type { Openable } from '../api/openable.js';
import { isBytes } from '../engine/async/request-buffers.js';
import { blobSource } from './blob.js';
import { bufferSource } from './buffer.js';

/** Whether a value is a source already. */
export function isByteSource(value: unknown): value is ByteSource {
  const source = value as Partial<ByteSource> | null;
  return typeof source === 'object' && source !== null && typeof source.read === 'function' && isSize(source.size);
}

/** Whether a value can be written to as well. */
export function isBlockDevice(value: unknown): value is BlockDevice {
  const device = value as Partial<BlockDevice> | null;
  return (
    isByteSource(value) && [device?.write, device?.truncate, device?.flush].every((verb) => typeof verb === 'function')
  );
}

/**
 * The source of what a caller handed in.
 *
 * @throws TypeError when it is nothing that can be opened.
 */
export function sourceOf(openable: Openable): ByteSource {
  if (isBytes(openable)) return bufferSource(openable);
  if (isArrayBuffer(openable)) return bufferSource(new Uint8Array(openable));
  if (isBlob(openable)) return blobSource(openable);
  if (isByteSource(openable)) return openable;
  throw new TypeError('An image is opened from a Blob or File, an ArrayBuffer, a Uint8Array or a ByteSource.');
}

/** Not by its class: another realm has another one. */
function isArrayBuffer(value: unknown): value is ArrayBuffer {
  return Object.prototype.toString.call(value) === '[object ArrayBuffer]';
}

/** Told by what it can do, since a Blob of another realm is no instance of this one's class. */
function isBlob(value: unknown): value is Blob {
  const blob = value as Partial<Blob> | null;
  return (
    typeof blob === 'object' &&
    blob !== null &&
    typeof blob.slice === 'function' &&
    typeof blob.arrayBuffer === 'function' &&
    isSize(blob.size)
  );
}

function isSize(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
