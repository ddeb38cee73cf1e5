/** Dehydrates and rehydrates images in memory. Runs wherever JavaScript does. */
import { bufferDevice, type DehydrateOptions, type Disk, Qcow2Image, rehydrate } from '../../src/index.js';

/** The dehydrated file of an open image. */
export async function dehydratedOf(
  image: Pick<Disk, 'dehydrate'>,
  options?: DehydrateOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await new Response(image.dehydrate(options)).arrayBuffer());
}

/** The dehydrated file of an image file. */
export async function dehydrated(bytes: Uint8Array, options?: DehydrateOptions): Promise<Uint8Array<ArrayBuffer>> {
  await using image = await Qcow2Image.open(bytes);
  return await dehydratedOf(image, options);
}

/** The image file that a dehydrated file becomes. */
export async function rehydrated(file: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const device = bufferDevice();
  await rehydrate(file, device);
  return device.bytes();
}

/** The container in a dehydrated file. */
export function unpacked(file: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  return through(file, new DecompressionStream('gzip'));
}

/** A dehydrated file of a container. */
export function packed(container: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  return through(container, new CompressionStream('gzip'));
}

async function through(
  bytes: Uint8Array<ArrayBuffer>,
  transform: GenericTransformStream,
): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(transform)).arrayBuffer());
}

/** The records of a container, read by hand: docs/dehydrated.md describes it. */
export function recordsIn(container: Uint8Array): { at: number; offset: number; length: number }[] {
  const view = new DataView(container.buffer, container.byteOffset, container.byteLength);
  const records = [];
  for (let at = 20; at < container.length; ) {
    const record = { at, offset: Number(view.getBigUint64(at)), length: view.getUint32(at + 8) };
    records.push(record);
    at += 12 + record.length;
  }
  return records;
}
