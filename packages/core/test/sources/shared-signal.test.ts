/**
 * One abort signal for many requests at once: each of them ends by it, and Node does not warn of a leak of listeners.
 */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { bufferDevice, httpSource, Qcow2Image, withCache } from '../../src/index.js';
import { host } from '../support/http/hosted.js';
import { noiseOf } from '../support/numbers.js';
import { SlowDevice } from '../support/slow-device.js';

const MIB = 1024 * 1024;
const REQUESTS = 24;

let warnings: Error[];
const onWarning = (warning: Error): void => {
  warnings.push(warning);
};
beforeEach(() => {
  warnings = [];
  process.on('warning', onWarning);
});
afterEach(async () => {
  // A warning is reported on the next tick.
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', onWarning);
  expect(warnings).toEqual([]);
});

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'done',
    (error: unknown) => error,
  );

it('many reads of a web server', async () => {
  const hosted = await host(noiseOf(1, MIB));
  const source = await httpSource(hosted.url, { blockSize: 4096, cacheBytes: 0 });
  await hosted.plan({ faults: Array.from({ length: REQUESTS }, () => ({ kind: 'silence' as const })) });
  const controller = new AbortController();
  const reads = Array.from({ length: REQUESTS }, (_, index) =>
    codeOf(
      Promise.resolve(source.read([{ at: 100_000 + index * 8192, bytes: new Uint8Array(512) }], controller.signal)),
    ),
  );
  const reason = new Error('enough');
  setTimeout(() => controller.abort(reason), 50);
  expect(await Promise.all(reads)).toEqual(reads.map(() => reason));
  await source.close?.();
});

it('many reads of blocks that are being loaded', async () => {
  const slow = new SlowDevice(bufferDevice(noiseOf(1, MIB)), () => 20);
  const source = withCache(slow);
  const { signal } = new AbortController();
  const reads = Array.from({ length: REQUESTS }, () => source.read([{ at: 0, bytes: new Uint8Array(512) }], signal));
  await Promise.all(reads);
});

it('many reads of an image that wait for a write', async () => {
  const device = bufferDevice();
  await (await Qcow2Image.create(device, { size: MIB })).close();
  const image = await Qcow2Image.open(new SlowDevice(device, () => 20), { mode: 'readwrite' });
  const controller = new AbortController();
  const writing = image.write(0, noiseOf(1, 512));
  const reads = Array.from({ length: REQUESTS }, () =>
    codeOf(image.read(0, new Uint8Array(512), { signal: controller.signal })),
  );
  const reason = new Error('enough');
  controller.abort(reason);
  expect(await Promise.all(reads)).toEqual(reads.map(() => reason));
  await writing;
  await image.close();
});

it('many checks of an image that is open for writing', async () => {
  const image = await Qcow2Image.create(bufferDevice(), { size: MIB });
  const controller = new AbortController();
  const { signal } = controller;
  const checks = Array.from({ length: REQUESTS }, () => image.check({ signal }));
  expect((await Promise.all(checks)).map(({ corruptions }) => corruptions)).toEqual(checks.map(() => 0));
  const ended = Array.from({ length: REQUESTS }, () => codeOf(image.check({ signal })));
  const reason = new Error('enough');
  controller.abort(reason);
  expect(await Promise.all(ended)).toEqual(ended.map(() => reason));
  await image.close();
});
