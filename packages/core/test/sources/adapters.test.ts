/** The adapters, over the real things: hyparquet's AsyncBuffers and pmtiles' Sources, of files and of a web server. */
import { mkdtempSync, openAsBlob, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asyncBufferFromFile, asyncBufferFromUrl } from 'hyparquet';
import { FetchSource, FileSource } from 'pmtiles';
import { afterAll, describe, expect, it } from 'vitest';
import {
  asyncBufferSource,
  type ByteSource,
  pmtilesSource,
  Qcow2Image,
  withCache,
  withCoalescing,
} from '../../src/index.js';
import { expectSame } from '../support/expect-same.js';
import { host } from '../support/http/hosted.js';
import { buildImage, type Cell } from '../support/image-builder.js';

const folder = mkdtempSync(join(tmpdir(), 'qcow2-adapters-'));
afterAll(() => rmSync(folder, { recursive: true }));

const bytes = Uint8Array.from({ length: 300_003 }, (_, index) => (index * 11 + (index >> 9)) & 0xff);
const path = join(folder, 'bytes');
writeFileSync(path, bytes);

async function opened(): Promise<Record<string, ByteSource>> {
  const { url } = await host(bytes, { etag: '"1"' });
  const file = new File([await openAsBlob(path)], 'bytes');
  return {
    'asyncBufferFromFile of hyparquet': asyncBufferSource(await asyncBufferFromFile(path)),
    'asyncBufferFromUrl of hyparquet': asyncBufferSource(await asyncBufferFromUrl({ url })),
    'FileSource of pmtiles': pmtilesSource(new FileSource(file), bytes.length),
    'FetchSource of pmtiles': pmtilesSource(new FetchSource(url), bytes.length),
    'an ArrayBuffer, which is an AsyncBuffer': asyncBufferSource(bytes.buffer),
  };
}

const sources = await opened();

describe.each(Object.entries(sources))('%s', (_, source) => {
  it('fills every transfer of a batch, with zeros past the end', async () => {
    expect(source.size).toBe(bytes.length);
    const places = [0, 100, 250_000, bytes.length - 50, bytes.length + 50];
    const transfers = places.map((at) => ({ at, bytes: new Uint8Array(100).fill(0xee) }));
    await source.read(transfers);
    for (const { at, bytes: into } of transfers) {
      const expected = new Uint8Array(100);
      expected.set(bytes.subarray(at, at + 100));
      expectSame(into, expected);
    }
  });

  it('rejects with the reason of a signal, and with closed after close', async () => {
    const reason = { mine: true };
    const abort = new AbortController();
    const into = new Uint8Array(100).fill(0xee);
    const read = source.read([{ at: 5, bytes: into }], abort.signal);
    abort.abort(reason);
    await expect(read).rejects.toBe(reason);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(into.every((byte) => byte === 0xee)).toBe(true);
    await source.close?.();
    await expect(source.read([{ at: 0, bytes: into }])).rejects.toMatchObject({ code: 'closed' });
  });
});

describe('asyncBufferSource', () => {
  it('reports that a file was truncated or deleted', async () => {
    const other = join(folder, 'other');
    writeFileSync(other, bytes);
    const source = asyncBufferSource(await asyncBufferFromFile(other));
    truncateSync(other, 100);
    const into = new Uint8Array(10);
    await expect(source.read([{ at: 95, bytes: into }])).rejects.toMatchObject({ code: 'io', details: { at: 95 } });
    rmSync(other);
    await expect(source.read([{ at: 5, bytes: into }])).rejects.toMatchObject({ code: 'io' });
  });
});

describe('pmtilesSource', () => {
  it('detects a replaced file', async () => {
    const file = await host(bytes, { etag: '"1"' });
    const source = pmtilesSource(new FetchSource(file.url), bytes.length);
    const into = new Uint8Array(10);
    await source.read([{ at: 5, bytes: into }]);
    await file.plan({ etag: '"2"' });
    await expect(source.read([{ at: 5, bytes: into }])).rejects.toMatchObject({ name: 'Qcow2Error', code: 'changed' });
  });

  it('refuses an invalid size', () => {
    expect(() => pmtilesSource(new FetchSource('http://127.0.0.1:1/'), -1)).toThrow(RangeError);
  });
});

describe('an image through an adapter', () => {
  it('is read with as few requests as one over HTTP, behind the decorators', async () => {
    const clusters = new Map<number, Cell>();
    for (let index = 0; index < 16; index++) {
      clusters.set(index, { kind: 'data', bytes: new Uint8Array(65_536).fill(index + 1) });
    }
    const { bytes: image } = buildImage({ size: 1024 * 1024, clusters });
    const file = await host(image);
    const buffer = await asyncBufferFromUrl({ url: file.url, byteLength: image.length });
    const disk = await Qcow2Image.open(withCache(withCoalescing(asyncBufferSource(buffer))));
    const into = new Uint8Array(1024 * 1024);
    await disk.read(0, new Uint8Array(512));
    const before = (await file.ranges()).length;
    await disk.read(0, into);
    expect([before, (await file.ranges()).length]).toEqual([4, 5]);
    expect(into.filter((_, index) => index % 65_536 === 0)).toEqual(Uint8Array.from({ length: 16 }, (_, i) => i + 1));
  });
});
