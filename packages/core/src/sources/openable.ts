/** Converts an Openable to a source. */
import type { BlockDevice, ByteSource } from '../api/device.js';
import type { Openable } from '../api/openable.js';
import { isSize, refuse } from '../arguments.js';
import { isBytes } from '../engine/async/request-buffers.js';
import { blobSource, isBlob } from './blob.js';
import { bufferSource } from './buffer.js';

/** True if a value is a source. */
export function isByteSource(value: unknown): value is ByteSource {
  const source = value as Partial<ByteSource> | null;
  return typeof source === 'object' && source !== null && typeof source.read === 'function' && isSize(source.size);
}

/** True if a value is a device, which can also be written to. */
export function isBlockDevice(value: unknown): value is BlockDevice {
  const device = value as Partial<BlockDevice> | null;
  return (
    isByteSource(value) && [device?.write, device?.truncate, device?.flush].every((verb) => typeof verb === 'function')
  );
}

/**
 * Returns a source for an Openable.
 *
 * @throws TypeError when the value cannot be opened; the errors of `httpSource` for a URL; {@link Qcow2Error} `changed`
 *   for a deleted file.
 */
export async function sourceOf(openable: Openable, signal: AbortSignal | undefined): Promise<ByteSource> {
  if (isBytes(openable)) return bufferSource(openable);
  if (tagOf(openable) === '[object ArrayBuffer]') return bufferSource(new Uint8Array(openable as ArrayBuffer));
  if (isUrl(openable)) {
    const url = await import('./url.js');
    return url.urlSource(openable, signal);
  }
  if (isBlob(openable)) {
    if (openable.size === 0) await (await import('./blob-failure.js')).requireEmpty(openable);
    return blobSource(openable);
  }
  if (isByteSource(openable)) return openable;
  return refuse('An image to open', 'a Blob or File, a URL, an ArrayBuffer, a Uint8Array or a ByteSource', openable);
}

/** Closes an Openable that will not be opened. Only a source has resources to release. */
export async function closeUnopened(openable: Openable): Promise<void> {
  if (isByteSource(openable)) await openable.close?.();
}

/** True if a value is a URL. */
export function isUrl(value: unknown): value is URL {
  return tagOf(value) === '[object URL]';
}

/** Returns a value's string tag. `instanceof` would fail for objects of another realm. */
function tagOf(value: unknown): string {
  return Object.prototype.toString.call(value);
}
