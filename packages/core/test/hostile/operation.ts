/** Runs a single operation on an image, so that a test knows which one was refused. */

import type { OpenOptions } from '../../src/api/options.js';
import { isQcow2Error, type Qcow2Error } from '../../src/errors.js';
import { bufferDevice, Qcow2Image } from '../../src/index.js';

/** An operation. All but `open` and the writing ones open the image for reading first, which must succeed. */
export type Operation =
  | 'open'
  | 'read'
  | 'map'
  /** Opens the first snapshot and reads its disk. */
  | 'snapshot'
  /** Lists the ranges that the first bitmap marks. */
  | 'dirty'
  | 'open to write'
  /** Writes over all guest bytes, a cluster's half at a time, then flushes. */
  | 'write';

/** More of a disk than these images have is not read. */
const MAX_READ = 1024 * 1024;

async function runOperation(image: Qcow2Image, operation: Operation): Promise<void> {
  if (operation === 'read') await image.read(0, new Uint8Array(Math.min(MAX_READ, image.size)));
  if (operation === 'map') for await (const _ of image.map());
  if (operation === 'dirty') for await (const _ of image.dirtyRanges(image.bitmaps[0]!.name));
  if (operation === 'snapshot') {
    await using view = await image.openSnapshot({ id: image.snapshots[0]!.id });
    await view.read(0, new Uint8Array(Math.min(MAX_READ, view.size)));
  }
  if (operation === 'write') {
    const half = new Uint8Array(256).fill(0x77);
    for (let at = 0; at < image.size; at += 4096) await image.write(at, half);
    await image.flush();
  }
}

/**
 * Returns the error of an operation. Throws if there was none, or if it is not a Qcow2Error; also throws an error from
 * opening the image for it.
 */
export async function errorOf(
  file: Uint8Array,
  operation: Operation,
  resolve?: OpenOptions['resolve'],
): Promise<Qcow2Error> {
  const writes = operation === 'write' || operation === 'open to write';
  const opens = operation === 'open' || operation === 'open to write';
  const opening = writes
    ? Qcow2Image.open(bufferDevice(file), { mode: 'readwrite', verify: false, resolve })
    : Qcow2Image.open(file, { resolve });
  let failure: unknown = null;
  if (opens) {
    failure = await opening.then(
      (image) => image.close(),
      (error: unknown) => error,
    );
  } else {
    const image = await opening;
    failure = await runOperation(image, operation).then(
      () => null,
      (error: unknown) => error,
    );
    await image.close().catch(() => {});
  }
  if (!isQcow2Error(failure)) throw failure ?? new Error(`"${operation}" was not refused`);
  return failure;
}
