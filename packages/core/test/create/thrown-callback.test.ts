/** Progress callbacks that throw, at the first report, at the last, and in between: what the engine leaves then. */
import { bufferDevice, type Progress, Qcow2Image } from 'qcow2';
import { describe, expect, test } from 'vitest';
import { afterMs, LaterDevice } from '../support/slow-device.js';

const REPORTS = ['first', 'middle', 'last'] as const;

/** A callback that throws `mine` at that report. */
function throwing(which: (typeof REPORTS)[number], mine: Error): (progress: Progress) => void {
  let count = 0;
  return ({ done, total }) => {
    count++;
    if (which === 'first' || done === total || (which === 'middle' && count === 2)) throw mine;
  };
}

describe.each(REPORTS)('at the %s report', (which) => {
  const mine = new Error(`thrown at the ${which} report`);

  test('create leaves no image', async () => {
    // It takes its time, so that there are reports in between.
    const device = new LaterDevice(bufferDevice(), { write: afterMs(60) });
    const options = { size: 2 ** 30, clusterSize: 512, preallocation: 'metadata' } as const;
    await expect(Qcow2Image.create(device, { ...options, onProgress: throwing(which, mine) })).rejects.toBe(mine);
    await expect(Qcow2Image.open(device)).rejects.toMatchObject({ code: 'not-qcow2' });
  });

  test('check, map and readable release the image, which is written and checked afterwards', async () => {
    const image = await Qcow2Image.create(bufferDevice(), { size: 2 ** 30, clusterSize: 512 });
    for (let at = 0; at < 2 ** 20; at += 1024) await image.write(at, Uint8Array.of(1));
    const onProgress = throwing(which, mine);
    await expect(image.check({ onProgress })).rejects.toBe(mine);
    const drain = async (items: AsyncIterable<unknown>): Promise<void> => {
      for await (const _ of items);
    };
    await expect(drain(image.map(undefined, { onProgress: throwing(which, mine) }))).rejects.toBe(mine);
    const range = { start: 0, length: 8 * 2 ** 20 };
    await expect(drain(image.readable(range, { onProgress: throwing(which, mine) }))).rejects.toBe(mine);
    await image.write(0, Uint8Array.of(2));
    await image.flush();
    expect(await image.check()).toMatchObject({ corruptions: 0, leaks: 0 });
    await image.close();
  });
});
