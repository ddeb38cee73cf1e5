/** What the worker imports from: Blobs, Blobs that changed, and chunks that the page hands over. */
import { describe, expect, test } from 'vitest';
import { blobImport, type ImportSource, pulledImport } from '../src/worker/store/import-source.js';
import { noise } from './support/images.js';
import { firstDifference } from './support/opfs.js';

async function collect(source: ImportSource): Promise<Uint8Array> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  for (let chunk = await source.next(); chunk; chunk = await source.next()) chunks.push(chunk.slice());
  await source.end();
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

/** A Blob whose stream is the given one. */
function blobWith(size: number, stream: ReadableStream<Uint8Array<ArrayBuffer>>): Blob {
  return Object.defineProperties(new Blob([new Uint8Array(size)]), { stream: { value: () => stream } });
}

/** A stream that is no byte stream, as those of Blobs are in older browsers. */
function plainStream(...chunks: Uint8Array<ArrayBuffer>[]): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
}

const BYTES = noise(3_500_000, 1);

describe('a Blob', () => {
  test('is read completely', async () => {
    expect(firstDifference(await collect(blobImport(new Blob([BYTES]))), BYTES)).toBe(-1);
    expect(await collect(blobImport(new Blob([])))).toHaveLength(0);
  });

  test('is read completely where its stream is not a byte stream', async () => {
    const parts = [BYTES.slice(0, 1000), BYTES.slice(1000, 2_000_000), BYTES.slice(2_000_000)];
    const blob = blobWith(BYTES.length, plainStream(...parts));
    expect(firstDifference(await collect(blobImport(blob)), BYTES)).toBe(-1);
  });

  test('that ends early or can no longer be read rejects with changed', async () => {
    const short = blobImport(blobWith(2000, plainStream(BYTES.slice(0, 1000))));
    await expect(collect(short)).rejects.toMatchObject({ code: 'changed', details: { at: 1000 } });
    for (const name of ['NotReadableError', 'NotFoundError', 'AbortError']) {
      const failing = new ReadableStream<Uint8Array<ArrayBuffer>>({
        start: (controller) => controller.error(new DOMException('gone', name)),
      });
      await expect(collect(blobImport(blobWith(2000, failing)))).rejects.toMatchObject({ code: 'changed' });
    }
  });
});

/** How an image of version 3 begins. */
const HEAD = new Uint8Array([0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 3, 0, 0]);

test('chunks of the page are requested at most one ahead', async () => {
  let asked = 0;
  const source = pulledImport(async () => (asked++ < 3 ? HEAD.slice() : null));
  expect(await source.next()).toHaveLength(10);
  expect(asked).toBe(2);
  expect(await collect(source)).toHaveLength(20);
  expect(asked).toBe(4);
});

test('no chunk is requested ahead until the first bytes are recognised as an image', async () => {
  let asked = 0;
  const source = pulledImport(async () => HEAD.slice(asked, ++asked));
  for (let chunks = 1; chunks < 8; chunks++) {
    expect(await source.next()).toHaveLength(1);
    expect(asked).toBe(chunks);
  }
  expect(await source.next()).toHaveLength(1);
  expect(asked).toBe(9);
  const other = pulledImport(async () => BYTES.slice(asked, ++asked));
  for (let chunks = 1; chunks < 8; chunks++) await other.next();
  await expect(other.next()).rejects.toMatchObject({ code: 'not-qcow2' });
});
