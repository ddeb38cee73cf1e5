/**
 * Imports that are refused: at the first bytes of what is no image, and with the caller's stream let go of, whatever
 * the reason.
 */
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openStore, type Store } from '../src/index.js';
import { holdLock } from '../src/protocol/web-lock.js';
import { mixedImage, noise } from './support/images.js';
import { bytesOf, clearStorage, firstDifference, packageFiles } from './support/opfs.js';
import { chunked, codeOf, drain, errorOf, stalling } from './support/outcomes.js';

let store: Store;
beforeEach(async () => {
  await clearStorage();
  store = await openStore();
});
afterEach(() => store.close());
afterAll(clearStorage);

describe('a stream is cancelled with the reason', () => {
  const refusals: readonly (readonly [string, (stream: ReadableStream<Uint8Array>) => Promise<void>])[] = [
    ['an invalid name', (stream) => store.import('a/b', stream)],
    ['a name that is not a string', (stream) => store.import(7 as unknown as string, stream)],
    ['invalid options', (stream) => store.import('disk', stream, null as unknown as undefined)],
    ['an invalid signal', (stream) => store.import('disk', stream, { signal: {} as AbortSignal })],
    ['a signal that has aborted', (stream) => store.import('disk', stream, { signal: AbortSignal.abort('no') })],
    [
      'an existing name',
      async (stream) => {
        await store.import('disk', (await mixedImage()).file);
        await store.import('disk', stream);
      },
    ],
    [
      'a name that is locked',
      async (stream) => {
        const release = await holdLock('qcow2-opfs folder qcow2/disk');
        await store.import('disk', stream).finally(release);
      },
    ],
    [
      'a store that is closed',
      async (stream) => {
        await store.close();
        await store.import('disk', stream);
      },
    ],
  ];

  test.each(refusals)('%s', async (_, refused) => {
    const { stream, state } = chunked(await bytesOf((await mixedImage()).file), 1000);
    const reason = await errorOf(refused(stream));
    expect(state.cancelled).toBe(reason);
    expect(stream.locked).toBe(false);
    expect(await stream.getReader().read()).toMatchObject({ done: true });
  });

  test('also when its cancel never settles', async () => {
    await store.import('disk', (await mixedImage()).file);
    const stream = new ReadableStream<Uint8Array>({ cancel: () => new Promise(() => {}) });
    expect(await codeOf(store.import('disk', stream))).toBe('exists');
    expect(stream.locked).toBe(false);
  });

  test('but not one that is locked by another reader', async () => {
    const { stream, state } = chunked(noise(1000, 1), 100);
    const reader = stream.getReader();
    expect(await errorOf(store.import('disk', stream))).toBeInstanceOf(TypeError);
    expect(state.cancelled).toBeUndefined();
    expect((await reader.read()).value).toHaveLength(100);
  });
});

test('a stream that was imported is unlocked', async () => {
  const { stream } = chunked(await bytesOf((await mixedImage()).file), 100_000);
  await store.import('disk', stream);
  expect(stream.locked).toBe(false);
});

describe('a file that is not an image is refused at its first bytes', () => {
  const wrong = noise(8_000_000, 1);

  test('of a stream, after the chunk that contains them', async () => {
    const { stream, state } = chunked(wrong, 65_536);
    expect(await codeOf(store.import('disk', stream))).toBe('not-qcow2');
    expect(state.given).toBe(65_536);
    expect(state.cancelled).toMatchObject({ code: 'not-qcow2' });
    expect(await packageFiles()).toEqual([]);
  });

  test('of a stream that stalls after them', async () => {
    const { stream, state } = stalling(new TextEncoder().encode('#!/bin/sh\n'));
    const error = await errorOf(store.import('disk', stream));
    expect(error).toMatchObject({ code: 'not-qcow2', message: expect.stringContaining('text file') });
    expect(state.cancelled).toBe(error);
  });

  test('of a stream that has them one by one, with empty chunks between', async () => {
    let given = 0;
    let cancelled: unknown;
    const stream = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          controller.enqueue(given % 2 === 0 ? new Uint8Array(0) : wrong.slice(given, given + 1));
          given++;
        },
        cancel(reason) {
          cancelled = reason;
        },
      },
      { highWaterMark: 0 },
    );
    const error = await errorOf(store.import('disk', stream));
    expect(error).toMatchObject({ code: 'not-qcow2' });
    expect(cancelled).toBe(error);
    expect(given).toBe(16);
  });

  test('of a stream of a later version', async () => {
    const bytes = new Uint8Array(await bytesOf((await mixedImage()).file));
    bytes[7] = 9;
    const { stream, state } = chunked(bytes, 4096);
    expect(await codeOf(store.import('disk', stream))).toBe('unsupported');
    expect(state.given).toBe(4096);
  });

  test('of a Blob, of which no more is read than necessary', async () => {
    expect(await codeOf(store.import('disk', new Blob([wrong])))).toBe('not-qcow2');
    expect(await packageFiles()).toEqual([]);
  });

  test('while a stream of an image in single bytes is imported', async () => {
    const bytes = (await bytesOf((await mixedImage()).file)).slice();
    const parts = [
      ...Array.from({ length: 300 }, (_, i) => bytes.slice(i, i + 1)),
      new Uint8Array(0),
      bytes.slice(300),
    ];
    const stream = new ReadableStream<Uint8Array>({
      pull(controller) {
        const part = parts.shift();
        if (part) controller.enqueue(part);
        else controller.close();
      },
    });
    await store.import('disk', stream);
    const stored = await drain(await store.export('disk', { format: 'qcow2' }));
    expect(firstDifference(stored, bytes)).toBe(-1);
  });
});
