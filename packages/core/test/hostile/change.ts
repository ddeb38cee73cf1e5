/** Owns what "changing a hostile file" is: open it for writing, write, zero, discard, flush and close it, on a copy. */
import { expect } from 'vitest';
import type { OpenOptions } from '../../src/api/options.js';
import { isQcow2Error, type Qcow2ErrorCode } from '../../src/errors.js';
import { Qcow2Image } from '../../src/index.js';
import { withAllocationsWatched } from './guard.js';
import { OverlayDevice } from './overlay-device.js';

/** What a change of a damaged image may be answered with. */
const OUTCOMES: readonly Qcow2ErrorCode[] = [
  'corrupt',
  'unsupported',
  'needs-repair',
  'reference-refused',
  'not-qcow2',
  'no-space',
  'failed',
];
/** Guest bytes that one request changes. */
const LENGTH = 700;
/** More than the requests below can need: each changes at most two clusters and the tables that lead to them. */
const MAX_CLUSTERS = 200;
const MAX_WRITES = 500;
const MAX_READS = 20_000;
const TIME_LIMIT_MS = 20_000;

/** What came of it: the code of the error at opening, else how many of the requests were done and refused. */
export interface Changed {
  readonly open: Qcow2ErrorCode | 'opened';
  readonly done: number;
  readonly refused: number;
}

/** The code of an error that is an answer; throws on what is none. */
function outcomeOf(error: unknown): Qcow2ErrorCode {
  if (!isQcow2Error(error)) throw error;
  expect(OUTCOMES, error.message).toContain(error.code);
  if (error.code === 'corrupt') {
    expect(error.details, error.message).toMatchObject({ what: expect.any(String), at: expect.any(Number) });
  }
  return error.code;
}

/**
 * The requests, in order: each at both ends and in the middle of the disk, some twice, since a change makes way for
 * another.
 */
function* requests(image: Qcow2Image): Generator<() => Promise<void>> {
  const last = Math.max(0, image.size - LENGTH);
  const middle = Math.floor(last / 2);
  const length = Math.min(LENGTH, image.size);
  for (const at of [0, middle, last]) yield () => writeAndReadBack(image, at, length);
  for (const at of [last, 0]) yield () => image.writeZeroes(at, length);
  yield () => image.flush();
  yield () => image.writeZeroes(middle, length, { unmap: true });
  for (const at of [0, middle])
    yield () => image.discard(at - (at % 512), Math.min(2 * image.info.clusterSize, image.size - at));
  for (const at of [middle, 0]) yield () => writeAndReadBack(image, at, length);
  yield () => image.flush();
}

/** Whatever is damaged, what was written is read back. */
async function writeAndReadBack(image: Qcow2Image, at: number, length: number): Promise<void> {
  const bytes = new Uint8Array(length).fill(0x5a);
  await image.write(at, bytes);
  const back = new Uint8Array(length);
  await image.read(at, back);
  expect(Buffer.compare(back, bytes), `what was written at ${at} is read back`).toBe(0);
}

/** Changes a copy of the file, with the guards up. Throws what is not a Qcow2Error; fails when a guard was broken. */
export async function change(file: Uint8Array, resolve?: OpenOptions['resolve']): Promise<Changed> {
  const device = new OverlayDevice(file);
  const started = performance.now();
  const changed = await withAllocationsWatched(() => changeOn(device, resolve), file.length);
  expect(device.violations).toEqual([]);
  expect(performance.now() - started).toBeLessThan(TIME_LIMIT_MS);
  expect(device.requested.reads).toBeLessThan(MAX_READS);
  expect(device.requested.writes).toBeLessThan(MAX_WRITES);
  return changed;
}

async function changeOn(device: OverlayDevice, resolve: OpenOptions['resolve']): Promise<Changed> {
  let image: Qcow2Image;
  try {
    image = await Qcow2Image.open(device, { mode: 'readwrite', verify: false, resolve });
  } catch (error) {
    expect(device.requested.writes, 'opening writes nothing').toBe(0);
    return { open: outcomeOf(error), done: 0, refused: 0 };
  }
  expect(device.requested.writes, 'opening writes nothing').toBe(0);
  const outcome = { done: 0, refused: 0 };
  for (const request of [...requests(image), () => image.close()]) {
    try {
      await request();
      outcome.done++;
    } catch (error) {
      outcomeOf(error);
      outcome.refused++;
    }
  }
  expect(device.requested.bytesWritten).toBeLessThan(MAX_CLUSTERS * image.info.clusterSize);
  if (outcome.refused === 0) {
    // What was changed without complaint opens again.
    await using again = await Qcow2Image.open(device, { resolve });
    expect(again.size).toBe(image.size);
  }
  return { open: 'opened', ...outcome };
}
