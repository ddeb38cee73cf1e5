/** Owns what "handling a hostile file" is: ask all that can be asked of it read-only, and say what came of it. */
import { expect } from 'vitest';
import type { OpenOptions } from '../../src/api/options.js';
import { isQcow2Error, type Qcow2ErrorCode } from '../../src/errors.js';
import { Qcow2Image } from '../../src/index.js';
import { dehydratedOf } from '../support/dehydrated.js';
import { sumOf } from '../usage/sum-of.js';
import { GuardedSource, withAllocationsWatched } from './guard.js';
import { expectDamage, seek, streamStart } from './reading.js';

/** As much of the disk as is read, from its start: a header can promise petabytes. */
const READ_LIMIT = 1024 * 1024;
/** As many extents as are asked for. */
const EXTENT_LIMIT = 10_000;
/** As many snapshots, and bitmaps, as are looked into. */
const STATES_LIMIT = 3;
/** A file of these tests is handled in milliseconds; this much is the time bound, with room for a busy machine. */
const TIME_LIMIT_MS = 20_000;

/** What came of each step: the code of its error, or what it gave. */
export interface Outcome {
  readonly open: Qcow2ErrorCode | 'opened';
  /** Whether the map could be walked; `opened` images only. */
  readonly map: Qcow2ErrorCode | 'mapped' | 'not tried';
  readonly read: Qcow2ErrorCode | 'not tried' | Uint8Array;
  /** Every error's message, in order. */
  readonly messages: readonly string[];
}

/** The code of a Qcow2Error whose message can be shown; anything else is a fault of the engine, and is thrown on. */
function codeOf(error: unknown, messages: string[]): Qcow2ErrorCode {
  if (!isQcow2Error(error)) throw error;
  expect(error.message, `the message of a ${error.code}`).toMatch(/\S.{10}/s);
  if (error.code === 'corrupt') {
    expect(error.details, error.message).toMatchObject({ what: expect.any(String), at: expect.any(Number) });
  }
  messages.push(error.message);
  return error.code;
}

/**
 * Handles a file, `size` bytes long, with the guards up. `resolve` hands over what it names. Throws what is not a
 * Qcow2Error; fails when a guard was broken.
 */
export async function handle(
  file: Uint8Array,
  size: number = file.length,
  resolve?: OpenOptions['resolve'],
): Promise<Outcome> {
  const source = new GuardedSource(file, size);
  const started = performance.now();
  const outcome = await withAllocationsWatched(() => callEverything(source, resolve), file.length);
  expect(source.violations).toEqual([]);
  expect(performance.now() - started).toBeLessThan(TIME_LIMIT_MS);
  return outcome;
}

async function callEverything(source: GuardedSource, resolve: OpenOptions['resolve']): Promise<Outcome> {
  const messages: string[] = [];
  let image: Qcow2Image;
  try {
    image = await Qcow2Image.open(source, { resolve });
  } catch (error) {
    return { open: codeOf(error, messages), map: 'not tried', read: 'not tried', messages };
  }
  try {
    structuredClone(image.info);
    const map = await walk(image, messages);
    await check(image, messages);
    await usage(image, messages);
    await findZeroes(image, messages);
    await dehydrate(image, messages);
    const read = await readStart(image, messages);
    await seek(image, messages);
    await streamStart(image, typeof read === 'string' ? null : read, Math.min(image.size, READ_LIMIT));
    await readStates(image, messages);
    return { open: 'opened', map, read, messages };
  } finally {
    await image.close();
  }
}

/** The other states that the image keeps: the disks of its first snapshots, and what its first bitmaps mark. */
async function readStates(image: Qcow2Image, messages: string[]): Promise<void> {
  for (const { id } of image.snapshots.slice(0, STATES_LIMIT)) {
    try {
      await using view = await image.openSnapshot({ id });
      structuredClone(view.info);
      await seek(view, messages);
      await view.read(0, new Uint8Array(Math.min(view.size, READ_LIMIT)));
    } catch (error) {
      expectDamage(error, messages);
    }
  }
  for (const { name } of image.bitmaps.slice(0, STATES_LIMIT)) {
    let ranges = 0;
    let end = -1;
    try {
      for await (const { start, length } of image.dirtyRanges(name)) {
        expect(start, 'ranges are in order and apart').toBeGreaterThan(end);
        end = start + length;
        expect(end, 'ranges end with the disk').toBeLessThanOrEqual(image.size);
        if (++ranges === EXTENT_LIMIT) break;
      }
    } catch (error) {
      expectDamage(error, messages);
    }
  }
}

async function walk(image: Qcow2Image, messages: string[]): Promise<Outcome['map']> {
  let extents = 0;
  let end = 0;
  try {
    for await (const extent of image.map()) {
      expect(extent.start, 'extents follow one another').toBe(end);
      expect(extent.length).toBeGreaterThan(0);
      end += extent.length;
      if (++extents === EXTENT_LIMIT) return 'mapped';
    }
    expect(end, 'the extents cover the disk').toBe(image.size);
    return 'mapped';
  } catch (error) {
    return codeOf(error, messages);
  }
}

/** Whatever is damaged, the check gives a report, in which every finding says where and what. */
async function check(image: Qcow2Image, messages: string[]): Promise<void> {
  try {
    const report = await image.check();
    const counted = report.findings.reduce((sum, { count }) => sum + count, 0);
    expect(counted).toBe(report.corruptions + report.leaks + report.checkErrors + report.extra);
    for (const { message, at } of report.findings.flatMap(({ places }) => places)) {
      expect(message).toMatch(/\S.{10}/s);
      expect(at).toBeGreaterThanOrEqual(0);
    }
  } catch (error) {
    codeOf(error, messages);
  }
}

/** Whatever is damaged, the usage accounts for every byte of the file. */
async function usage(image: Qcow2Image, messages: string[]): Promise<void> {
  try {
    const figures = await image.usage();
    expect(sumOf(figures)).toBe(image.info.fileSize);
    expect(figures.snapshots).toHaveLength(image.snapshots.length);
  } catch (error) {
    codeOf(error, messages);
  }
}

/** The start of the disk as a map that reads its data, without gaps, with and without going on behind damage. */
async function findZeroes(image: Qcow2Image, messages: string[]): Promise<void> {
  const length = Math.min(image.size, READ_LIMIT);
  for (const salvage of [false, true]) {
    let end = 0;
    try {
      for await (const extent of image.map({ start: 0, length }, { detectZeroes: true, salvage })) {
        expect(extent.start, 'extents follow one another').toBe(end);
        end += extent.length;
      }
      expect(end, 'the extents cover the range').toBe(length);
    } catch (error) {
      const code = codeOf(error, messages);
      if (salvage) expect(['unsupported', 'reference-refused']).toContain(code);
    }
  }
}

/** Whatever is damaged, dehydrating gives a file. */
async function dehydrate(image: Qcow2Image, messages: string[]): Promise<void> {
  try {
    expect((await dehydratedOf(image, { names: false })).length).toBeGreaterThan(0);
  } catch (error) {
    codeOf(error, messages);
  }
}

async function readStart(image: Qcow2Image, messages: string[]): Promise<Outcome['read']> {
  const bytes = new Uint8Array(Math.min(image.size, READ_LIMIT)).fill(0xee);
  try {
    await image.read(0, bytes);
    if (image.size > READ_LIMIT) await image.read(image.size - 512, new Uint8Array(512));
    return bytes;
  } catch (error) {
    return codeOf(error, messages);
  }
}
