/**
 * Reading past damage: what a normal read refuses, unit by unit, is lost and zeros; everything else reads as before the
 * damage. The lost ranges stand in the subjects, too.
 */
import { describe, expect, test } from 'vitest';
import { type OpenOptions, Qcow2Image } from '../../src/index.js';
import { map, places, scan, stream } from './scan.js';
import { type ExpectedLoss, resolverOf, type Subject, sourceOf, subjects } from './subjects.js';

function open(subject: Subject, asynchronous: boolean, options: OpenOptions = {}): Promise<Qcow2Image> {
  const resolve = resolverOf(subject, asynchronous);
  return Qcow2Image.open(sourceOf(subject.image, asynchronous), { resolve, ...options });
}

/** The expected ranges in bytes, those of the same reason joined. */
function expected({ unit, disk, lost }: Subject): object[] {
  return lost.map(({ first, count, what, layer }: ExpectedLoss) => ({
    start: first * unit,
    length: Math.min(count * unit, disk.length - first * unit),
    code: what === 'file' || what === 'data file' ? 'io' : 'corrupt',
    what,
    ...(layer !== undefined && { layer }),
  }));
}

/** The undamaged disk with zeros in the lost ranges. */
function withZeros(disk: Uint8Array, lost: readonly { start: number; length: number }[]): Uint8Array {
  const zeroed = disk.slice();
  for (const { start, length } of lost) zeroed.fill(0, start, start + length);
  return zeroed;
}

const WAYS = [
  { asynchronous: false, byob: false },
  { asynchronous: false, byob: true },
  { asynchronous: true, byob: false },
  { asynchronous: true, byob: true },
];

describe.each(subjects())('$name', (subject) => {
  test('a stream is as the disk was, with zeros for what a read unit by unit refuses', async () => {
    const scanned = await scan(await open(subject, false), subject.unit);
    expect(scanned.lost.map(({ message: _, ...range }) => range)).toEqual(expected(subject));
    for (const { asynchronous, byob } of WAYS) {
      const salvaged = await stream(await open(subject, asynchronous), byob);
      expect(salvaged.lost).toEqual(scanned.lost);
      expect(Buffer.compare(salvaged.bytes, withZeros(subject.disk, scanned.lost))).toBe(0);
      expect(Buffer.compare(salvaged.bytes, scanned.bytes)).toBe(0);
    }
  });

  test.each([false, true])('a map marks what its tables say is lost; asynchronous: %s', async (asynchronous) => {
    const { extents, lost } = await map(await open(subject, asynchronous));
    const mapped = expected({ ...subject, lost: subject.lost.filter(({ mapped }) => mapped) });
    expect(lost.map(({ message: _, ...range }) => range)).toEqual(mapped);
    const marked = extents.filter(({ unreadable }) => unreadable);
    expect(places(marked)).toEqual(places(lost));
    for (const { zero, data, present } of marked)
      expect({ zero, data, present }).toEqual({ zero: false, data: false, present: true });
  });

  test('without salvage the stream errors as a read does', async () => {
    const image = await open(subject, false);
    const whole = image.read(0, image.size);
    const streamed = new Response(image.readable()).arrayBuffer();
    if (subject.lost.length === 0) return expect(streamed).resolves.toHaveProperty('byteLength', image.size);
    await expect(whole).rejects.toMatchObject({ code: expect.stringMatching(/^corrupt$|^io$/) });
    await expect(streamed).rejects.toMatchObject({ code: expect.stringMatching(/^corrupt$|^io$/) });
  });
});
