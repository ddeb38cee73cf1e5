/** Wrong arguments across the worker: the same tables as for the engine, and those of a store. */
import type { CreateOptions, Disk } from 'qcow2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { READING, REPAIRING, WRITING } from '../../core/test/arguments/disk-arguments.js';
import {
  refusalOf,
  type SharedOption,
  type WrongCall,
  wordsFor,
  wrongCalls,
  wrongOptions,
} from '../../core/test/arguments/wrong-arguments.js';
import { baseName, openStore, type Store, type StoreOpenOptions, type WorkerImage } from '../src/index.js';

const MIB = 2 ** 20;
const NAME = 'wrong-arguments.qcow2';
const OPERATION: readonly SharedOption[] = ['signal', 'onProgress'];
const OPENING: readonly SharedOption[] = [...OPERATION, 'resolve', 'verify', 'repairDirty', 'cache'];
const SALVAGE: readonly SharedOption[] = [...OPERATION, 'salvage', 'onLost'];

let store: Store;

beforeAll(async () => {
  store = await openStore({ directory: 'wrong-arguments' });
  if (await store.has(NAME)) await store.remove(NAME);
  const image = await store.create(NAME, { size: MIB });
  await image.write(0, new Uint8Array([1]));
  await image.close();
});

afterAll(async () => {
  await store.remove(NAME);
  await store.close();
});

/** Runs the calls of a table, one test for each method. */
function refuses<Target>(calls: readonly WrongCall<Target>[], target: () => Target): void {
  for (const method of new Set(calls.map((call) => call.method))) {
    test(method, async () => {
      for (const { call, name, value, refusal } of calls.filter((each) => each.method === method)) {
        const error = await refusalOf(() => call(target()));
        const which = `${name} ${wordsFor(value)}`;
        expect(error, which).toBeInstanceOf(refusal);
        expect((error as Error).message, which).toMatch(new RegExp(`\\b${name}\\b.* must be .*, not `, 'i'));
      }
    });
  }
}

describe.each(['read', 'readwrite', 'repair'] as const)('of an image that is open to %s', (mode) => {
  let image: WorkerImage;
  beforeAll(async () => {
    image = await store.open(NAME, { mode });
  });
  afterAll(() => image.close());
  const calls = { read: READING, readwrite: [...READING, ...WRITING], repair: [...READING, ...REPAIRING] }[mode];
  refuses<Disk>(calls, () => image);
  test('leaves the image as it was', async () => {
    expect(await image.read(0, 2)).toEqual(new Uint8Array([1, 0]));
  });
});

describe('of the methods across the worker alone', () => {
  let image: WorkerImage;
  beforeAll(async () => {
    image = await store.open(NAME, { mode: 'readwrite' });
  });
  afterAll(() => image.close());
  const raw = { format: 'raw' } as const;
  const bytes = new Uint8Array(1);
  const calls: WrongCall<WorkerImage>[] = [
    ...wrongCalls<WorkerImage>('write', 'options', 'object', (on, options) => on.write(0, bytes, options)),
    ...wrongCalls<WorkerImage>('write', 'transfer', 'boolean', (on, value) => on.write(0, bytes, { transfer: value })),
    ...wrongCalls<WorkerImage>('writeBatch', 'transfer', 'boolean', (on, value) =>
      on.writeBatch([], { transfer: value }),
    ),
    ...wrongCalls<WorkerImage>('export', 'format', 'function', (on, format) =>
      on.export({ format, to: null as never }),
    ),
    ...wrongCalls<WorkerImage>('export', 'to', 'function', (on, to) => on.export({ ...raw, to })),
    ...wrongOptions<WorkerImage>('export', SALVAGE, (on, options) => on.export(options), raw),
    ...wrongOptions<WorkerImage>('temporaryExport', SALVAGE, (on, options) => on.temporaryExport(options), raw),
    ...wrongCalls<WorkerImage>('temporaryExport', 'format', 'function', (on, format) => on.temporaryExport({ format })),
  ];
  refuses(calls, () => image);
});

describe('of a store', () => {
  const file = new Blob(['not an image']);
  const formats = { format: 'raw' } as const;
  const create = (on: Store, options: object) => on.create('new', { size: MIB, ...options } as CreateOptions);
  const flags = ['lazyRefcounts', 'extendedL2', 'dataFileRaw', 'overwrite'];
  const numbers = ['size', 'clusterSize', 'refcountBits', 'version', 'compressionType', 'preallocation'];
  const http = ['retries', 'retryDelay', 'concurrency', 'timeout', 'blockSize', 'cacheBytes'];
  const url = 'http://127.0.0.1:1/';
  const budget = (open: (on: Store, options: StoreOpenOptions) => unknown, method: string) =>
    wrongCalls<Store>(method, 'cache.l2Bytes', 'size', (on, l2Bytes) => open(on, { cache: { l2Bytes } }));
  const calls: WrongCall<Store>[] = [
    ...wrongCalls<Store>('has', 'name', 'string', (on, name) => on.has(name)),
    ...wrongCalls<Store>('stat', 'name', 'string', (on, name) => on.stat(name)),
    ...wrongCalls<Store>('remove', 'name', 'string', (on, name) => on.remove(name)),
    ...wrongCalls<Store>('rename', 'from', 'string', (on, name) => on.rename(name, 'other')),
    ...wrongCalls<Store>('rename', 'to', 'string', (on, name) => on.rename(NAME, name)),
    ...wrongCalls<Store>('create', 'name', 'string', (on, name) => on.create(name, { size: MIB })),
    ...wrongOptions<Store>('create', [...OPERATION, 'resolve', 'cache'], (on, options) => on.create('new', options), {
      size: MIB,
    }),
    ...flags.flatMap((name) =>
      wrongCalls<Store>('create', name, 'boolean', (on, value) => create(on, { [name]: value })),
    ),
    ...numbers.flatMap((name) =>
      wrongCalls<Store>('create', name, 'size', (on, value) => create(on, { [name]: value })),
    ),
    ...wrongCalls<Store>('create', 'backingFile', 'boolean', (on, value) => create(on, { backingFile: value })).filter(
      ({ value }) => typeof value !== 'string',
    ),
    ...budget(create, 'create'),
    ...wrongCalls<Store>('open', 'name', 'string', (on, name) => on.open(name)),
    ...wrongOptions<Store>('open', OPENING, (on, options) => on.open(NAME, options)),
    ...wrongCalls<Store>('open', 'mode', 'function', (on, mode) => on.open(NAME, { mode })),
    ...wrongCalls<Store>('open', 'lock', 'function', (on, lock) => on.open(NAME, { lock })),
    ...budget((on, options) => on.open(NAME, options), 'open'),
    ...wrongCalls<Store>('openFile', 'file', 'object', (on, value) => on.openFile(value)),
    ...wrongOptions<Store>('openFile', OPENING, (on, options) => on.openFile(file, options)),
    ...wrongCalls<Store>('openFile', 'mode', 'function', (on, mode) => on.openFile(file, { mode })),
    ...http.flatMap((name) =>
      wrongCalls<Store>('openFile', name, 'size', (on, value) => on.openFile({ url, [name]: value })),
    ),
    ...wrongCalls<Store>('openFile', 'headers', 'object', (on, headers) => on.openFile({ url, headers })),
    ...wrongCalls<Store>('openFile', 'credentials', 'function', (on, credentials) => on.openFile({ url, credentials })),
    ...wrongCalls<Store>('import', 'name', 'string', (on, name) => on.import(name, file)),
    ...wrongCalls<Store>('import', 'from', 'object', (on, from) => on.import('new', from)),
    ...wrongOptions<Store>('import', OPERATION, (on, options) => on.import('new', file, options)),
    ...wrongCalls<Store>('export', 'name', 'string', (on, name) => on.export(name, formats)),
    ...wrongCalls<Store>('export', 'format', 'function', (on, format) => on.export(NAME, { format })),
    ...wrongCalls<Store>('export', 'to', 'function', (on, to) => on.export(NAME, { ...formats, to })),
    ...wrongOptions<Store>('export', SALVAGE, (on, options) => on.export(NAME, options), formats),
    ...wrongCalls<Store>('temporaryExport', 'name', 'string', (on, name) => on.temporaryExport(name, formats)),
    ...wrongCalls<Store>('temporaryExport', 'format', 'function', (on, format) => on.temporaryExport(NAME, { format })),
    ...wrongOptions<Store>('temporaryExport', SALVAGE, (on, options) => on.temporaryExport(NAME, options), formats),
  ];
  refuses(calls, () => store);

  test.each([undefined, {}])('create with the options %s', async (options) => {
    const error = await refusalOf(() => store.create('new', options as never));
    expect(error).toHaveProperty('message', expect.stringMatching(/^(options|size) must be .*, not undefined/));
  });

  test('leaves it as it was', async () => {
    expect((await store.list()).map(({ name }) => name)).toEqual([NAME]);
  });

  test('a stream to import is cancelled with the refusal', async () => {
    const cancelled: unknown[] = [];
    const stream = new ReadableStream<Uint8Array>({ cancel: (reason) => void cancelled.push(reason) });
    const error = await refusalOf(() => store.import('new', stream, { onProgress: 5 as never }));
    expect(error).toBeInstanceOf(TypeError);
    expect(cancelled).toEqual([error]);
  });
});

describe('of functions', () => {
  const calls: WrongCall<undefined>[] = [
    ...wrongCalls<undefined>('openStore', 'options', 'object', (_, options) => openStore(options)),
    ...wrongCalls<undefined>('openStore', 'worker', 'function', (_, worker) => openStore({ worker })),
    ...wrongCalls<undefined>('openStore', 'fallback', 'function', (_, fallback) => openStore({ fallback })),
    ...wrongCalls<undefined>('openStore', 'directory', 'boolean', (_, directory) => openStore({ directory })).filter(
      ({ value }) => typeof value !== 'string',
    ),
    ...wrongCalls<undefined>('baseName', 'name', 'string', (_, name) => baseName(name)),
  ];
  refuses(calls, () => undefined);
});
