/**
 * What an image does with the answers of `resolve`: whose they are, which format they have, and that nobody waits for
 * them.
 */
import { expect, test } from 'vitest';
import {
  type BlockDevice,
  type ByteSource,
  bufferDevice,
  type CreateOptions,
  type ImageReference,
  type OpenOptions,
  Qcow2Image,
} from '../src/index.js';
import { deferred } from './support/deferred.js';
import { FaultyDevice } from './support/faulty-device.js';
import { buildImage } from './support/image-builder.js';
import { RecordingSource } from './support/recording-source.js';

const BACKING_FORMAT = 0xe2792aca;

function overlay(format: 'raw' | 'qcow2'): Uint8Array<ArrayBuffer> {
  const extensions = [{ type: BACKING_FORMAT, data: new TextEncoder().encode(format) }];
  return buildImage({ size: 65_536, backingName: 'base', extensions }).bytes;
}

function openOver(bytes: Uint8Array, resolve: NonNullable<OpenOptions['resolve']>, signal?: AbortSignal) {
  return Qcow2Image.open(bytes, { resolve, signal });
}

test('an abort does not wait for resolve, and closes a file that is returned later', async () => {
  const late = new RecordingSource(new Uint8Array(10));
  const abort = new AbortController();
  const reason = new Error('enough');
  const { promise, resolve: answer } = deferred<ByteSource>();
  const opening = openOver(overlay('raw'), () => promise, abort.signal).catch((error: unknown) => error);
  await new Promise((resolve) => setTimeout(resolve, 5));
  abort.abort(reason);
  expect(await opening).toBe(reason);
  answer(late);
  await promise;
  await expect.poll(() => late.closed).toBe(1);
});

test('an abort while resolve returns closes the file', async () => {
  const source = new RecordingSource(new Uint8Array(10));
  const abort = new AbortController();
  const reason = new Error('enough');
  const resolve = async () => {
    abort.abort(reason);
    return source;
  };
  await expect(openOver(overlay('raw'), resolve, abort.signal)).rejects.toBe(reason);
  await expect.poll(() => source.closed).toBe(1);
});

test('a refused chain closes every resolved file, but not the caller’s own source', async () => {
  const answers: RecordingSource[] = [];
  const endless = async () => {
    const source = new RecordingSource(overlay('qcow2'));
    answers.push(source);
    return source;
  };
  await expect(openOver(overlay('qcow2'), endless)).rejects.toMatchObject({ code: 'unsupported' });
  expect(answers).toHaveLength(16);
  expect(answers.map(({ closed }) => closed)).toEqual(answers.map(() => 1));

  const own = new RecordingSource(overlay('qcow2'));
  await expect(Qcow2Image.open(own, { resolve: async () => own })).rejects.toMatchObject({ code: 'corrupt' });
  expect(own.closed).toBe(0);
});

test('close closes every file, also when one of them fails, and a second call waits for the first', async () => {
  const loose = new RecordingSource(overlay('raw'), { closeFailure: new Error('the cable is loose') });
  const low = new RecordingSource(new Uint8Array(10));
  const image = await openOver(overlay('qcow2'), async ({ depth }) => (depth === 1 ? loose : low));
  const first = image.close();
  expect(image.close()).toBe(first);
  await expect(first).rejects.toThrow('the cable is loose');
  expect([loose.closed, low.closed]).toEqual([1, 1]);
});

test('a format that the image gives is not probed when resolve gives none', async () => {
  // A guest can write anything to its raw disk: also a header that names another file.
  const disk = buildImage({ size: 65_536 }).bytes;
  const answer = { source: disk, format: undefined } as unknown as { source: Uint8Array; format: 'raw' };
  const image = await openOver(overlay('raw'), async () => answer);
  expect(image.info.chain.at(-1)?.format).toBe('raw');
});

test.each(['base', 5, { source: new Uint8Array(10) }])(
  'a result of resolve that is not a file throws TypeError: %s',
  async (answer) => {
    const opening = openOver(overlay('raw'), async () => answer as unknown as Uint8Array);
    await expect(opening).rejects.toThrow('An image to open must be a Blob or File');
  },
);

test('an abort ends a create that waits for resolve, releases the device, and closes a late file', async () => {
  const late = new RecordingSource(new Uint8Array(512));
  const device = bufferDevice();
  const abort = new AbortController();
  const reason = new Error('enough');
  const { promise, resolve: answer } = deferred<ByteSource>();
  const options = { size: 65_536, backingFile: 'base', backingFormat: 'raw' } as const;
  let asked = false;
  const resolve = () => {
    asked = true;
    return promise;
  };
  const creating = Qcow2Image.create(device, { ...options, resolve, signal: abort.signal }).catch(
    (error: unknown) => error,
  );
  await expect.poll(() => asked).toBe(true);
  abort.abort(reason);
  expect(await creating).toBe(reason);
  answer(late);
  await expect.poll(() => late.closed).toBe(1);
  await (await Qcow2Image.create(device, { size: 65_536 })).close();
});

test('a create whose image cannot be opened closes the resolved files, each once', async () => {
  const device = new FaultyDevice(bufferDevice());
  const dataBytes = bufferDevice();
  let dataClosed = 0;
  const dataFile: BlockDevice = {
    get size() {
      return dataBytes.size;
    },
    read: (transfers) => dataBytes.read(transfers),
    write: (transfers) => dataBytes.write(transfers),
    truncate: (size) => dataBytes.truncate(size),
    flush: () => dataBytes.flush(),
    close: () => void dataClosed++,
  };
  const options = {
    size: 65_536,
    backingFile: 'base',
    backingFormat: 'raw',
    dataFile: 'data',
    overwrite: true,
  } as const;
  const reads = await countReads(options, dataFile);
  for (let nth = 0; nth < reads; nth++) {
    const backing = new RecordingSource(new Uint8Array(512));
    device.fault = {
      call: 'read',
      nth: nth + device.calls.filter(({ call }) => call === 'read').length,
      error: new Error('gone'),
      promised: false,
    };
    dataClosed = 0;
    const resolve = async ({ kind }: ImageReference) => (kind === 'data' ? dataFile : backing);
    await expect(Qcow2Image.create(device, { ...options, resolve })).rejects.toThrow();
    expect([dataClosed, backing.closed], `read ${nth}`).toEqual([1, 1]);
  }
});

/** How many reads the opening of such an image takes. */
async function countReads(options: CreateOptions, dataFile: BlockDevice): Promise<number> {
  const device = new FaultyDevice(bufferDevice());
  const resolve = async ({ kind }: ImageReference) => (kind === 'data' ? dataFile : new Uint8Array(512));
  const image = await Qcow2Image.create(device, { ...options, resolve });
  const reads = device.calls.filter(({ call }) => call === 'read').length;
  await image.close();
  expect(reads).toBeGreaterThan(0);
  return reads;
}
