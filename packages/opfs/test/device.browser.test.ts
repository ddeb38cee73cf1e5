/** The device suite over real OPFS files, through a real worker: sync handles exist nowhere else. */
import { type Remote, wrap } from 'comlink';
import type { BlockDevice } from 'qcow2';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { deviceSuite } from '../../core/test/conformance/device-suite.js';
import type { Outcome } from '../src/protocol/messages.js';
import { fromWireError } from '../src/protocol/wire-error.js';
import type { DeviceAnswer, deviceWorker } from './support/device-worker.js';
import { bytesOf, clearStorage, firstDifference } from './support/opfs.js';

let worker: Worker;
let remote: Remote<typeof deviceWorker>;
beforeAll(async () => {
  await clearStorage();
  worker = new Worker(new URL('./support/device-worker.ts', import.meta.url), { type: 'module' });
  remote = wrap(worker);
});
afterAll(async () => {
  worker.terminate();
  await clearStorage();
});

/** The device in the worker, as the page sees it. */
async function remoteDevice(name: string = crypto.randomUUID()): Promise<BlockDevice> {
  let size = 0;
  const settle = async (answer: Promise<Outcome<DeviceAnswer>>): Promise<DeviceAnswer> => {
    const outcome = await answer;
    if (!('value' in outcome)) throw fromWireError(outcome.error);
    size = outcome.value.size;
    return outcome.value;
  };
  await settle(remote.open(name));
  return {
    get size() {
      return size;
    },
    async read(transfers, signal) {
      signal?.throwIfAborted();
      const runs = transfers.map(({ at, bytes }) => ({ at, length: bytes.length }));
      const { read = [] } = await settle(remote.read(name, runs));
      for (const [index, { bytes }] of transfers.entries()) bytes.set(read[index]!);
    },
    async write(transfers) {
      await settle(remote.write(name, [...transfers]));
    },
    async truncate(length) {
      await settle(remote.truncate(name, length));
    },
    async flush() {
      await settle(remote.flush(name));
    },
    async close() {
      await settle(remote.close(name));
    },
  };
}

deviceSuite('OPFS', remoteDevice);

test('written bytes are in the file, and the file can be opened again after close', async () => {
  const name = crypto.randomUUID();
  const device = await remoteDevice(name);
  const bytes = Uint8Array.from({ length: 100_000 }, (_, index) => index * 7);
  await device.write([{ at: 10, bytes }]);
  await device.flush();
  await device.close?.();
  const root = await navigator.storage.getDirectory();
  const file = await (await root.getFileHandle(name)).getFile();
  expect(firstDifference((await bytesOf(file)).subarray(10), bytes)).toBe(-1);
  await root.removeEntry(name);
});

test('a length beyond the quota is no-space, and the device is unchanged', async () => {
  const device = await remoteDevice();
  await device.write([{ at: 0, bytes: new Uint8Array([1, 2, 3]) }]);
  const growing = Promise.resolve(device.truncate(2 ** 44));
  await expect(growing).rejects.toMatchObject({ code: 'no-space', details: { needed: 2 ** 44 } });
  const into = new Uint8Array(4);
  await device.read([{ at: 0, bytes: into }]);
  expect([...into]).toEqual([1, 2, 3, 0]);
  await device.close?.();
});
