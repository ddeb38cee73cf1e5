/** Errors of an external data file: they name the data file, not the image's own file. */
import { expect, test } from 'vitest';
import { type BlockDevice, bufferDevice, type ImageReference, Qcow2Error, Qcow2Image } from '../src/index.js';
import { type Fault, FaultyDevice } from './support/faulty-device.js';

const CLUSTER = 65_536;
const FIRE = new Qcow2Error('io', 'The disk is on fire.', { what: 'file', at: 512 });

/** A fault that comes with the next call of that kind. */
function next(device: FaultyDevice, call: Fault['call'], error: Error, promised = true): Fault {
  return { call, nth: device.calls.filter((called) => called.call === call).length, error, promised };
}

/** A new image with an external data file, in which one cluster is written. */
async function create(): Promise<{ image: Qcow2Image; file: BlockDevice; data: FaultyDevice }> {
  const file = bufferDevice();
  const data = new FaultyDevice(bufferDevice());
  const image = await Qcow2Image.create(file, {
    size: 4 * CLUSTER,
    dataFile: 'disk.raw',
    resolve: async () => data,
  });
  await image.write(0, new Uint8Array(CLUSTER).fill(7));
  await image.flush();
  return { image, file, data };
}

const expected = {
  code: 'io',
  message: 'Data file "disk.raw": The disk is on fire.',
  details: { what: 'data file', name: 'disk.raw', depth: 1, at: 512 },
  cause: FIRE,
};

test.each([true, false])('a read that fails, promised: %s', async (promised) => {
  const { image, data } = await create();
  data.fault = next(data, 'read', FIRE, promised);
  await expect(image.read(0, new Uint8Array(512))).rejects.toMatchObject(expected);
  await image.close();
});

test('a synchronous read that fails', async () => {
  const { image, data } = await create();
  data.fault = next(data, 'read', FIRE, false);
  expect(() => image.readSync(0, new Uint8Array(512))).toThrow(expect.objectContaining(expected));
  await image.close();
});

test.each([true, false])('a write that fails, promised: %s', async (promised) => {
  const { image, data } = await create();
  data.fault = next(data, 'write', FIRE, promised);
  await expect(image.write(0, new Uint8Array(512))).rejects.toMatchObject(expected);
  await expect(image.close()).rejects.toMatchObject(expected);
});

test('a flush that fails, with an error of another class', async () => {
  const { image, data } = await create();
  data.fault = next(data, 'flush', new Error('no power'));
  await image.write(0, new Uint8Array(512));
  await expect(image.flush()).rejects.toMatchObject({
    code: 'io',
    message: 'Data file "disk.raw": The device could not be written: no power',
    details: { what: 'data file', name: 'disk.raw', depth: 1 },
  });
  await image.close();
});

test('a file that cannot be made long enough for a new disk', async () => {
  const data = new FaultyDevice(bufferDevice());
  data.fault = next(data, 'truncate', FIRE);
  const options = { size: CLUSTER, dataFile: 'disk.raw', resolve: async () => data };
  await expect(Qcow2Image.create(bufferDevice(), options)).rejects.toMatchObject(expected);
});

test('the data file of a backing file: the error names both', async () => {
  const { image, file, data } = await create();
  await image.close();
  data.fault = next(data, 'read', FIRE);
  const overlay = await Qcow2Image.create(bufferDevice(), {
    size: 4 * CLUSTER,
    backingFile: 'base.qcow2',
    backingFormat: 'qcow2',
    resolve: async ({ kind }: ImageReference) => (kind === 'data' ? data : file),
  });
  await expect(overlay.read(0, new Uint8Array(512))).rejects.toMatchObject({
    message: 'Backing file "base.qcow2": Data file "disk.raw": The disk is on fire.',
    details: { what: 'data file', name: 'disk.raw', depth: 2, layer: 1 },
  });
  await overlay.close();
});

test('errors of the image file stay as they are', async () => {
  const file = new FaultyDevice(bufferDevice());
  const options = { size: 4 * CLUSTER, dataFile: 'disk.raw', resolve: async () => bufferDevice() };
  const image = await Qcow2Image.create(file, options);
  file.fault = next(file, 'write', FIRE);
  await image.write(0, new Uint8Array(512)).catch(() => {});
  await expect(image.flush().then(() => image.close())).rejects.toSatisfy(
    (error: unknown) => error === FIRE || (error as Error).cause === FIRE,
  );
});

test('an abort passes untouched', async () => {
  const { image, data, file } = await create();
  await image.close();
  const abort = new AbortController();
  const source = {
    size: data.size,
    read: async (transfers: readonly unknown[], signal?: AbortSignal) => {
      if (transfers.length === 0) return;
      abort.abort(FIRE);
      signal?.throwIfAborted();
    },
  };
  await using reader = await Qcow2Image.open(file, { resolve: async () => source });
  await expect(reader.read(0, new Uint8Array(512), { signal: abort.signal })).rejects.toBe(FIRE);
});
