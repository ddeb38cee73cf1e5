/** Wrong arguments of public methods and functions: refused by a message that names them, before anything is done. */
import { describe, expect, it } from 'vitest';
import { fileDevice, fileSource, nodeHash } from '../../node/index.js';
import {
  asyncBufferSource,
  type BlockDevice,
  blobSource,
  bufferDevice,
  bufferSource,
  type CreateOptions,
  httpSource,
  type OpenOptions,
  pmtilesSource,
  Qcow2Image,
  rehydrate,
  withCache,
  withCoalescing,
} from '../../src/index.js';
import { READING, REPAIRING, WRITING } from './disk-arguments.js';
import { refusalOf, type SharedOption, type WrongCall, wordsFor, wrongCalls, wrongOptions } from './wrong-arguments.js';

const MIB = 2 ** 20;
const OPERATION: readonly SharedOption[] = ['signal', 'onProgress'];

/** A device that counts its calls. */
function counted(inner: BlockDevice): BlockDevice & { calls: number } {
  const count = <Args extends unknown[], Result>(method: (...args: Args) => Result) => {
    return (...args: Args): Result => {
      device.calls++;
      return method.apply(inner, args);
    };
  };
  const device = {
    calls: 0,
    get size() {
      return inner.size;
    },
    read: count(inner.read),
    write: count(inner.write),
    truncate: count(inner.truncate),
    flush: count(inner.flush),
  };
  return device;
}

/** Runs the calls of a table on `target`. None of them may call `device`. */
function refuses<Target>(
  calls: readonly WrongCall<Target>[],
  target: () => Promise<Target>,
  device: { calls: number } = { calls: 0 },
): void {
  const named = calls.map((call): [string, WrongCall<Target>] => [
    `${call.method}: ${call.name} ${wordsFor(call.value)}`,
    call,
  ]);
  it.each(named)('%s', async (_, { call, name, refusal }) => {
    const on = await target();
    device.calls = 0;
    const error = await refusalOf(() => call(on));
    expect(error).toBeInstanceOf(refusal);
    expect((error as Error).message).toMatch(new RegExp(`\\b${name}\\b.* must be .*, not `, 'i'));
    expect(device.calls).toBe(0);
  });
}

describe.each(['read', 'readwrite', 'repair'] as const)('of an image that is open to %s', (mode) => {
  const device = counted(bufferDevice());
  let opened: Promise<Qcow2Image> | undefined;
  const target = () => {
    opened ??= Qcow2Image.create(device, { size: MIB }).then(async (image) => {
      await image.write(0, new Uint8Array([1]));
      await image.close();
      return Qcow2Image.open(device, { mode });
    });
    return opened;
  };
  const calls = { read: READING, readwrite: [...READING, ...WRITING], repair: [...READING, ...REPAIRING] }[mode];
  refuses<Qcow2Image>(calls, target, device);
  it('leaves the image as it was', async () => {
    expect(await (await target()).read(0, 2)).toEqual(new Uint8Array([1, 0]));
  });
});

describe('of the methods of the engine alone', () => {
  const calls: WrongCall<Qcow2Image>[] = [
    ...wrongCalls<Qcow2Image>('readSync', 'offset', 'size', (image, at) => image.readSync(at, new Uint8Array(1))),
    ...wrongCalls<Qcow2Image>('readSync', 'buffer', 'bytes', (image, into) => image.readSync(0, into)),
    ...wrongCalls<Qcow2Image>('writeSync', 'offset', 'size', (image, at) => image.writeSync(at, new Uint8Array(1))),
    ...wrongCalls<Qcow2Image>('writeSync', 'buffer', 'bytes', (image, bytes) => image.writeSync(0, bytes)),
    ...wrongCalls<Qcow2Image>('digest', 'createHash', 'function', (image, createHash) =>
      image.digest('SHA-1', { createHash }),
    ),
    ...wrongCalls<Qcow2Image>('digest', 'createHash', 'object', (image, hash) =>
      image.digest('SHA-1', { createHash: () => hash }),
    ),
    ...wrongCalls<Qcow2Image>('digest', 'createHash', 'bytes', (image, digest) =>
      image.digest('SHA-1', { createHash: () => ({ update() {}, digest: () => digest }) }),
    ),
  ];
  refuses(calls, () => Qcow2Image.create(bufferDevice(), { size: MIB }));
});

const budgets = <Target>(method: string, call: (target: Target, options: OpenOptions) => unknown) =>
  ['l2Bytes', 'refcountBytes']
    .flatMap((name) =>
      wrongCalls<Target>(method, `cache.${name}`, 'size', (target, bytes) =>
        call(target, { cache: { [name]: bytes } }),
      ),
    )
    .filter(({ value }) => value !== undefined);

describe('of opening', () => {
  const shared: readonly SharedOption[] = [...OPERATION, 'resolve', 'verify', 'repairDirty', 'cache'];
  const device = counted(bufferDevice(new Uint8Array(512)));
  const calls: WrongCall<undefined>[] = [
    ...wrongOptions<undefined>('open', shared, (_, options) => Qcow2Image.open(device, options)),
    ...wrongCalls<undefined>('open', 'mode', 'function', (_, mode) => Qcow2Image.open(device, { mode })),
    ...budgets<undefined>('open', (_, options) => Qcow2Image.open(device, options)),
    ...wrongCalls<undefined>('open', 'image', 'object', (_, source) => Qcow2Image.open(source)),
    ...wrongCalls<undefined>('open for writing', 'image', 'object', (_, source) =>
      Qcow2Image.open(source, { mode: 'readwrite' }),
    ),
  ];
  refuses(calls, async () => undefined, device);
});

describe('of creating', () => {
  const device = counted(bufferDevice());
  const create = (options: object) => Qcow2Image.create(device, options as CreateOptions);
  const flags = ['lazyRefcounts', 'extendedL2', 'dataFileRaw', 'overwrite'];
  const numbers = ['size', 'clusterSize', 'refcountBits'];
  const names = ['backingFile', 'backingFormat', 'dataFile'];
  const choices = ['version', 'compressionType', 'preallocation'];
  const option = (name: string, value: unknown) => create({ size: MIB, [name]: value });
  const calls: WrongCall<undefined>[] = [
    ...wrongOptions<undefined>('create', [...OPERATION, 'resolve', 'cache'], (_, options) => create(options), {
      size: MIB,
    }),
    ...budgets<undefined>('create', (_, options) => create({ size: MIB, ...options })),
    ...flags.flatMap((name) => wrongCalls<undefined>('create', name, 'boolean', (_, value) => option(name, value))),
    ...numbers.flatMap((name) => wrongCalls<undefined>('create', name, 'size', (_, value) => option(name, value))),
    ...choices.flatMap((name) => wrongCalls<undefined>('create', name, 'size', (_, value) => option(name, value))),
    ...names.flatMap((name) =>
      wrongCalls<undefined>('create', name, 'string', (_, value) => option(name, value)).filter(
        ({ value }) => value !== undefined,
      ),
    ),
    ...wrongCalls<undefined>('create', 'device', 'object', (_, value) => Qcow2Image.create(value, { size: MIB })),
  ];
  refuses(calls, async () => undefined, device);
  it.each([undefined, {}])('options %s', async (options) => {
    await expect(create(options as unknown as object)).rejects.toThrow(/(options|size) must be .*, not undefined/);
    expect(device.calls).toBe(0);
  });
});

describe('of sources and devices', () => {
  const bytes = new Uint8Array(512);
  const source = bufferSource(bytes);
  const reads = { bufferSource: source, bufferDevice: bufferDevice(bytes), withCache: withCache(source) };
  const server = 'http://127.0.0.1:1/';
  const http = ['retries', 'retryDelay', 'concurrency', 'timeout', 'blockSize', 'cacheBytes'];
  const calls: WrongCall<undefined>[] = [
    ...wrongCalls<undefined>('bufferSource', 'buffer', 'bytes', (_, value) => bufferSource(value)),
    ...wrongCalls<undefined>('bufferDevice', 'initial', 'bytes', (_, value) => bufferDevice(value)).filter(
      ({ value }) => value !== undefined,
    ),
    ...wrongCalls<undefined>('bufferDevice.truncate', 'size', 'size', (_, size) => bufferDevice().truncate(size)),
    ...wrongCalls<undefined>('blobSource', 'blob', 'object', (_, value) => blobSource(value)),
    ...wrongCalls<undefined>('asyncBufferSource', 'buffer', 'object', (_, value) => asyncBufferSource(value)),
    ...wrongCalls<undefined>('asyncBufferSource', 'byteLength', 'size', (_, byteLength) =>
      asyncBufferSource({ byteLength, slice: () => new ArrayBuffer(0) }),
    ),
    ...wrongCalls<undefined>('pmtilesSource', 'source', 'object', (_, value) => pmtilesSource(value, 0)),
    ...wrongCalls<undefined>('pmtilesSource', 'size', 'size', (_, size) =>
      pmtilesSource({ getKey: () => '', getBytes: async () => ({ data: new ArrayBuffer(0) }) }, size),
    ),
    ...wrongCalls<undefined>('withCache', 'source', 'object', (_, value) => withCache(value)),
    ...wrongCalls<undefined>('withCache', 'options', 'object', (_, value) => withCache(source, value)),
    ...wrongCalls<undefined>('withCache', 'blockSize', 'size', (_, blockSize) => withCache(source, { blockSize })),
    ...wrongCalls<undefined>('withCache', 'cacheBytes', 'size', (_, cacheBytes) => withCache(source, { cacheBytes })),
    ...wrongCalls<undefined>('withCoalescing', 'source', 'object', (_, value) => withCoalescing(value)),
    ...wrongCalls<undefined>('withCoalescing', 'options', 'object', (_, value) => withCoalescing(source, value)),
    ...wrongCalls<undefined>('withCoalescing', 'gap', 'size', (_, gap) => withCoalescing(source, { gap })),
    ...wrongCalls<undefined>('withCoalescing', 'longest', 'size', (_, longest) => withCoalescing(source, { longest })),
    ...wrongCalls<undefined>('httpSource', 'url', 'string', (_, value) => httpSource(value)),
    ...wrongOptions<undefined>('httpSource', ['signal'], (_, options) => httpSource(server, options)),
    ...http.flatMap((name) =>
      wrongCalls<undefined>('httpSource', name, 'size', (_, value) => httpSource(server, { [name]: value })),
    ),
    ...wrongCalls<undefined>('httpSource', 'fetch', 'function', (_, value) => httpSource(server, { fetch: value })),
    ...wrongCalls<undefined>('httpSource', 'headers', 'object', (_, headers) => httpSource(server, { headers })),
    ...wrongCalls<undefined>('httpSource', 'header X', 'boolean', (_, X) =>
      httpSource(server, { headers: { X } }),
    ).filter(({ value }) => typeof value !== 'string'),
    ...wrongCalls<undefined>('httpSource', 'credentials', 'function', (_, credentials) =>
      httpSource(server, { credentials }),
    ),
    ...Object.entries(reads).flatMap(([name, from]) => [
      ...wrongCalls<undefined>(`${name}.read`, 'transfers', 'batch', (_, batch) => from.read(batch)),
      ...wrongCalls<undefined>(`${name}.read`, 'Offset 0', 'size', (_, at) => from.read([{ at, bytes }])),
      ...wrongCalls<undefined>(`${name}.read`, 'Buffer 0', 'bytes', (_, into) => from.read([{ at: 0, bytes: into }])),
    ]),
    ...wrongCalls<undefined>('fileSource', 'path', 'string', (_, path) => fileSource(path)),
    ...wrongCalls<undefined>('fileDevice', 'path', 'string', (_, path) => fileDevice(path)),
    ...wrongCalls<undefined>('fileDevice', 'options', 'object', (_, options) => fileDevice('disk', options)),
    ...wrongCalls<undefined>('fileDevice', 'create', 'boolean', (_, create) => fileDevice('disk', { create })),
    ...wrongCalls<undefined>('fileDevice', 'ignoreLocks', 'boolean', (_, ignoreLocks) =>
      fileDevice('disk', { ignoreLocks }),
    ),
    ...wrongCalls<undefined>('nodeHash', 'algorithm', 'string', (_, algorithm) => nodeHash(algorithm)),
  ];
  refuses(calls, async () => undefined);

  it.each(['\0', new URL('http://127.0.0.1/')])('a path that no file has: %o', (path) => {
    expect(() => fileSource(path)).toThrow(TypeError);
  });
});

describe('of rehydrate', () => {
  const device = counted(bufferDevice());
  const calls: WrongCall<Uint8Array>[] = [
    ...wrongOptions<Uint8Array>('rehydrate', OPERATION, (file, options) => rehydrate(file, device, options)),
    ...wrongCalls<Uint8Array>('rehydrate', 'device', 'object', (file, value) => rehydrate(file, value)),
    ...wrongCalls<Uint8Array>('rehydrate', 'image', 'object', (_, value) => rehydrate(value, device)),
  ];
  refuses(calls, async () => new Uint8Array(512), device);

  it('a stream is cancelled with the refusal', async () => {
    const cancelled: unknown[] = [];
    const stream = new ReadableStream<Uint8Array>({ cancel: (reason) => void cancelled.push(reason) });
    const error = await refusalOf(() => rehydrate(stream, device, { onProgress: 5 as never }));
    expect(error).toBeInstanceOf(TypeError);
    expect(cancelled).toEqual([error]);
    expect(stream.locked).toBe(false);
  });
});

it('stats of a closed image are refused, as every other method', async () => {
  const image = await Qcow2Image.create(bufferDevice(), { size: MIB });
  await image.close();
  await expect(image.stats()).rejects.toMatchObject({ code: 'closed' });
});
