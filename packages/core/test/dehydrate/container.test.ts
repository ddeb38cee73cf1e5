/** Dehydrated files that are damaged or hostile: each is refused with a typed error, and the device stays empty. */
import { describe, expect, it } from 'vitest';
import { bufferDevice, isQcow2Error, rehydrate } from '../../src/index.js';
import { put } from '../support/big-endian.js';
import { dehydrated, packed, recordsIn, rehydrated, unpacked } from '../support/dehydrated.js';
import { expectSame } from '../support/expect-same.js';
import { buildImage, filled } from '../support/image-builder.js';

const image = buildImage({ clusterBits: 12, clusters: new Map([[1, filled(7, 4096)]]) }).bytes;
const file = await dehydrated(image);
const container = await unpacked(file);
const records = recordsIn(container);

async function refusal(bytes: Uint8Array): Promise<unknown> {
  const device = bufferDevice();
  const error = await rehydrate(bytes, device).catch((thrown: unknown) => thrown);
  expect(device.size).toBe(0);
  return error;
}

/** The refusal of a container in which a number was changed. */
async function refusalOf(at: number, width: 4 | 8, value: number | bigint): Promise<unknown> {
  const changed = container.slice();
  put(changed, at, width, value);
  return refusal(await packed(changed));
}

describe('a container', () => {
  it('has the header, records in order and the end that docs/dehydrated.md describes', () => {
    expect(Buffer.from(container.subarray(0, 8)).toString()).toBe('qcow2dry');
    const view = new DataView(container.buffer);
    expect(view.getUint32(8)).toBe(1);
    expect(Number(view.getBigUint64(12))).toBe(image.length);
    expect(records.length).toBeGreaterThan(2);
    expect(records.at(-1)).toMatchObject({ offset: image.length, length: 0 });
    expect(records.at(-1)!.at + 12).toBe(container.length);
    for (const [index, { offset, length, at }] of records.slice(0, -1).entries()) {
      expect(records[index + 1]!.offset).toBeGreaterThanOrEqual(offset + length);
      expectSame(container.subarray(at + 12, at + 12 + length), image.subarray(offset, offset + length));
    }
  });

  const second = records[1]!;
  const end = records.at(-1)!.at;
  it.each([
    [
      'another magic',
      0,
      4,
      0x71636f78,
      { code: 'corrupt', details: { what: 'header of the dehydrated image', at: 0 } },
    ],
    ['another version', 8, 4, 2, { code: 'unsupported', details: { at: 8 } }],
    ['a length of 2^60', 12, 8, 2n ** 60n, { code: 'corrupt', details: { at: 12 } }],
    ['a shorter file', 12, 8, 4096, { code: 'corrupt' }],
    ['a record before the one before it', second.at, 8, 8, { code: 'corrupt', details: { at: second.at } }],
    ['a record past the end', second.at, 8, image.length - 1, { code: 'corrupt', details: { at: second.at } }],
    ['a record at 2^63', second.at, 8, 2n ** 63n, { code: 'corrupt', details: { at: second.at } }],
    [
      'a record of 1 MiB and a byte',
      second.at + 8,
      4,
      2 ** 20 + 1,
      { code: 'corrupt', message: expect.stringContaining('1048576 is the most'), details: { at: second.at } },
    ],
    ['an early end', second.at + 8, 4, 0, { code: 'corrupt', details: { at: second.at } }],
    ['an end elsewhere', end, 8, image.length - 1, { code: 'corrupt', details: { at: end } }],
  ] as const)('with %s is refused', async (_, at, width, value, expected) => {
    expect(await refusalOf(at, width, value)).toMatchObject({ name: 'Qcow2Error', ...expected });
  });

  it('with bytes behind its end is refused', async () => {
    const longer = new Uint8Array(container.length + 1);
    longer.set(container);
    const details = { what: 'end of the dehydrated image', at: container.length };
    expect(await refusal(await packed(longer))).toMatchObject({ code: 'corrupt', details });
  });

  it('cut anywhere is refused with the place', async () => {
    for (let length = 0; length < container.length; length += 1 + Math.floor(length / 50)) {
      const error = await refusal(await packed(container.slice(0, length)));
      expect(error, `${length} bytes`).toMatchObject({ code: 'corrupt', details: { what: expect.any(String) } });
    }
  });
});

describe('the compressed file', () => {
  it('cut anywhere is refused', async () => {
    for (let length = 0; length < file.length; length++) {
      expect(await refusal(file.subarray(0, length)), `${length} bytes`).toMatchObject({ code: 'corrupt' });
    }
  });

  it('with any bit flipped is refused, or is the same image', async () => {
    let refused = 0;
    for (let bit = 0; bit < file.length * 8; bit += 3) {
      const flipped = file.slice();
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      const device = bufferDevice();
      const error = await rehydrate(flipped, device).catch((thrown: unknown) => thrown);
      if (error === undefined) {
        // A bit that says nothing: of the time in gzip's header, or of a code that is not used.
        expectSame(device.bytes(), await rehydrated(file));
        continue;
      }
      refused++;
      expect(isQcow2Error(error, 'corrupt'), `bit ${bit}: ${error}`).toBe(true);
    }
    expect(refused).toBeGreaterThan((file.length * 8) / 4);
  });

  it.each([
    ['nothing', new Uint8Array(0)],
    ['a qcow2 image', image],
    ['noise', new Uint8Array(1000).fill(0x1f)],
  ])('that is %s is refused', async (_, bytes) => {
    expect(await refusal(bytes)).toMatchObject({ code: 'corrupt', details: { at: 0 } });
  });

  it('that inflates to far more than it is, is refused at the first bytes', async () => {
    const bomb = await packed(new Uint8Array(256 * 2 ** 20));
    const before = process.memoryUsage().arrayBuffers;
    expect(await refusal(bomb)).toMatchObject({ code: 'corrupt', details: { at: 0 } });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 2 ** 20);
  });
});
