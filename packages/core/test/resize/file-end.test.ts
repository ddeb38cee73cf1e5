/** Where the file ends when a disk has become shorter. */
import { expect, test } from 'vitest';
import { bufferDevice, Qcow2Image } from '../../src/index.js';
import { buildImage, filled } from '../support/image-builder.js';

test('metadata that nothing counts are not cut off', async () => {
  const clusters = new Map([1, 2].map((value) => [value, filled(value)] as const));
  const { bytes, refcountTable } = buildImage({ clusters });
  bytes.fill(0, refcountTable, refcountTable + 8);
  const { length } = bytes;
  const device = bufferDevice(bytes);
  const image = await Qcow2Image.open(device, { mode: 'readwrite', verify: false });
  await expect(image.resize(900 * 1024, { shrink: true })).rejects.toMatchObject({ code: 'corrupt' });
  await expect(image.close()).rejects.toMatchObject({ code: 'corrupt' });
  expect(device.size).toBe(length);
});
