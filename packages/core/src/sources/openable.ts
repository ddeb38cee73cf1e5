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
 * @throws TypeError when it is nothing that can be opened; what `httpSource` throws for a URL.
 */
export async function sourceOf(openable: Openable, signal: AbortSignal | undefined): Promise<ByteSource> {
  if (isBytes(openable)) return bufferSource(openable);
  if (tagOf(openable) === '[object ArrayBuffer]') return bufferSource(new Uint8Array(openable as ArrayBuffer));
  if (isUrl(openable)) return (await import('./http.js')).httpSource(openable, { signal });
  if (isBlob(openable)) return blobSource(openable);
  if (isByteSource(openable)) return openable;
  throw new TypeError('An image is opened from a Blob or File, a URL, an ArrayBuffer, a Uint8Array or a ByteSource.');
}

/** Closes what was handed over and will not be opened: only a source holds anything. */
export async function closeUnopened(openable: Openable): Promise<void> {
  if (isByteSource(openable)) await openable.close?.();
}

/** Whether a value is the address of a file. */
export function isUrl(value: unknown): value is URL {
  return tagOf(value) === '[object URL]';
}

/** What a value is. Not by its class: another realm has another one. */
function tagOf(value: unknown): string {
  return Object.prototype.toString.call(value);
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
