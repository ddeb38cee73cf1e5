/** A map that reads the data of damaged images: what a stream loses is unreadable, and all else is data or zeros. */
import { describe, expect, test } from 'vitest';
import { type LostRange, Qcow2Error, Qcow2Image } from '../../src/index.js';
import { places, scan } from '../salvage/scan.js';
import { resolverOf, sourceOf, subjects } from '../salvage/subjects.js';
import { buildImage, filled } from '../support/image-builder.js';
import { RecordingSource } from '../support/recording-source.js';
import { extentsOf, splitByBytes } from './split-by-bytes.js';

test('an error that is no damage ends the map, though reading again would succeed', async () => {
  const source = new RecordingSource(buildImage({ clusters: new Map([[0, filled(0)]]) }).bytes);
  const error = new Qcow2Error('changed', 'This is not damage.');
  let failsOnce = false;
  const image = await Qcow2Image.open({
    size: source.size,
    read(transfers) {
      source.failure = failsOnce ? error : null;
      failsOnce = false;
      return source.read(transfers);
    },
  });
  await image.read(0, 1); // the table is in memory from here on
  failsOnce = true;
  const options = { detectZeroes: true, salvage: true };
  await expect(extentsOf(image, undefined, options)).rejects.toBe(error);
  expect(await extentsOf(image, undefined, options)).toMatchObject([{ data: true, zero: true }, { data: false }]);
});

describe.each(subjects())('$name', (subject) => {
  test.each([false, true])('asynchronous: %s', async (asynchronous) => {
    const open = () =>
      Qcow2Image.open(sourceOf(subject.image, asynchronous), { resolve: resolverOf(subject, asynchronous) });
    const { bytes, lost: expected } = await scan(await open(), subject.unit);
    const image = await open();
    const lost: LostRange[] = [];
    const options = { detectZeroes: true, salvage: true, onLost: (range: LostRange) => lost.push(range) } as const;
    const extents = await extentsOf(image, undefined, options);
    expect(lost).toEqual(expected);
    const unreadable = extents.filter((extent) => extent.unreadable);
    expect(places(unreadable)).toEqual(places(expected));
    for (const { data, zero, present } of unreadable) expect([data, zero, present]).toEqual([false, false, true]);
    // Without gaps, and stored zeros where the bytes are zeros.
    expect(extents.reduce((sum, { start, length }) => (start === sum ? sum + length : Number.NaN), 0)).toBe(image.size);
    const plain = extents.map((extent) => (extent.data ? { ...extent, zero: false } : extent));
    expect(extents).toEqual(splitByBytes(plain, bytes, image.info.subclusterSize));
    if (expected.length > 0) {
      await expect(extentsOf(image, undefined, { detectZeroes: true })).rejects.toMatchObject({
        code: expect.stringMatching(/^corrupt$|^io$/),
      });
    }
  });

  test('each range is reported before the extents behind it', async () => {
    const image = await Qcow2Image.open(sourceOf(subject.image, false), { resolve: resolverOf(subject, false) });
    let reported = 0;
    const onLost = ({ start, length }: LostRange) => {
      expect(start).toBeGreaterThanOrEqual(reported);
      reported = start + length;
    };
    for await (const { start, length, unreadable } of image.map(undefined, {
      detectZeroes: true,
      salvage: true,
      onLost,
    })) {
      if (unreadable && start + length < image.size) expect(reported).toBeGreaterThanOrEqual(start);
    }
  });
});
