/** What the tables of an image may take in memory. */
import { describe, expect, it } from 'vitest';
import { bufferDevice, Qcow2Image } from '../src/index.js';

const MIB = 2 ** 20;

describe('the budgets of the tables', () => {
  it.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])('must be whole numbers of bytes, not %s', async (bytes) => {
    const device = bufferDevice();
    await (await Qcow2Image.create(device, { size: MIB })).close();
    const whole = device.bytes();
    for (const cache of [{ l2Bytes: bytes }, { refcountBytes: bytes }]) {
      await expect(Qcow2Image.open(whole, { cache })).rejects.toThrow(RangeError);
      await expect(Qcow2Image.open(device, { mode: 'readwrite', cache })).rejects.toThrow(RangeError);
    }
    // A refused opening holds nothing.
    await (await Qcow2Image.open(device, { mode: 'readwrite' })).close();
  });

  it('may be 0: the tables of a request are in memory nevertheless', async () => {
    const device = bufferDevice();
    const cache = { l2Bytes: 0, refcountBytes: 0 };
    const image = await Qcow2Image.create(device, { size: 64 * MIB, clusterSize: 512, cache });
    for (let at = 0; at < 64 * MIB; at += 4 * MIB) await image.write(at, new Uint8Array([1 + at / MIB]));
    for (let at = 0; at < 64 * MIB; at += 4 * MIB)
      expect(await image.read(at, 1)).toEqual(new Uint8Array([1 + at / MIB]));
    expect(await image.check()).toMatchObject({ corruptions: 0, leaks: 0 });
    await image.close();
  });
});
