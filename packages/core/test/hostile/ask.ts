/** Owns single questions to an image: each asks one thing, so that what refuses it is known. */

import type { OpenOptions } from '../../src/api/options.js';
import { isQcow2Error, type Qcow2Error } from '../../src/errors.js';
import { bufferDevice, Qcow2Image } from '../../src/index.js';

/** What is asked. All but `open` and the writing ones open the image for reading first, which must succeed. */
export type Question =
  | 'open'
  | 'read'
  | 'map'
  /** Opens the first snapshot and reads its disk. */
  | 'snapshot'
  /** Asks what the first bitmap marks. */
  | 'dirty'
  | 'open to write'
  /** Writes over all guest bytes, a cluster's half at a time, then flushes. */
  | 'write';

/** More of a disk than these images have is not read. */
const MOST = 1024 * 1024;

async function askOpened(image: Qcow2Image, question: Question): Promise<void> {
  if (question === 'read') await image.read(0, new Uint8Array(Math.min(MOST, image.size)));
  if (question === 'map') for await (const _ of image.map());
  if (question === 'dirty') for await (const _ of image.dirtyRanges(image.bitmaps[0]!.name));
  if (question === 'snapshot') {
    await using view = await image.openSnapshot(image.snapshots[0]!.id);
    await view.read(0, new Uint8Array(Math.min(MOST, view.size)));
  }
  if (question === 'write') {
    const half = new Uint8Array(256).fill(0x77);
    for (let at = 0; at < image.size; at += 4096) await image.write(at, half);
    await image.flush();
  }
}

/**
 * The error that the question gets. Throws what is no Qcow2Error, and when there was none; an error before the question
 * proper, at opening, is thrown too.
 */
export async function errorOf(
  file: Uint8Array,
  question: Question,
  resolve?: OpenOptions['resolve'],
): Promise<Qcow2Error> {
  const writes = question === 'write' || question === 'open to write';
  const opens = question === 'open' || question === 'open to write';
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
    failure = await askOpened(image, question).then(
      () => null,
      (error: unknown) => error,
    );
    await image.close().catch(() => {});
  }
  if (!isQcow2Error(failure)) throw failure ?? new Error(`"${question}" was not refused`);
  return failure;
}
