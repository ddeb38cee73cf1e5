/**
 * Owns the tests of the source over HTTP, against a real server that does its work: what is asked for, what is kept.
 */
import { describe, expect, it } from 'vitest';
import { type HttpSourceOptions, httpSource, Qcow2Image } from '../../src/index.js';
import { expectSame } from '../support/expect-same.js';
import { host } from '../support/http/hosted.js';
import type { Fault } from '../support/http/plan.js';
import { buildImage, type Cell } from '../support/image-builder.js';
import { bytes, expected, KIB, MIB, open, readAt } from './http-reads.js';

/** Runs the suite in the current runtime. */
export function httpSuite(): void {
  describe('httpSource', () => {
    it('gets the size from the first range, and reads at any offset, with zeros past the end', async () => {
      const { file, source } = await open({ etag: '"1"' });
      expect(source.size).toBe(bytes.length);
      for (const [at, length] of [
        [0, 10],
        [MIB - 5, 10],
        [MIB + 1, 2 * MIB],
        [bytes.length - 7, 100],
        [bytes.length + 5, 100],
      ] as const) {
        expectSame(await readAt(source, at, length), expected(at, length));
      }
      const seen = await file.seen();
      expect(seen[0]!.range).toBe('0-65535');
      // The start was there already, and past the end there is nothing to ask.
      expect(seen).toHaveLength(1 + 3);
      // Nothing that makes a browser ask for leave first, and no condition that the server might answer in its own way.
      expect(seen.every(({ method, headers }) => method === 'GET' && !('if-range' in headers))).toBe(true);
      expect(seen.every(({ headers }) => headers['accept-encoding'] === 'identity')).toBe(true);
    });

    it('joins adjacent and nearby transfers of a batch in one request, and not distant ones', async () => {
      const { file, source } = await open();
      const places = [1_000_000, 200_000, 264_000, 2_500_000, 390_000];
      const batch = places.map((at) => ({ at, bytes: new Uint8Array(4096) }));
      await source.read(batch);
      for (const { at, bytes: into } of batch) expectSame(into, expected(at, 4096));
      const far = (await file.ranges()).slice(1).sort();
      expect(far).toEqual([range(3 * 64, 64 * 3 + 64), range(15 * 64, 64), range(38 * 64, 64)].sort());
    });

    it('caches the most recently used blocks within its budget, and reads them synchronously', async () => {
      const { file, source } = await open({}, { cacheBytes: 256 * KIB });
      for (const block of [1, 3, 5, 1, 7, 9]) await readAt(source, block * 64 * KIB + 5, 100);
      const before = (await file.seen()).length;
      expect(before).toBe(1 + 5);
      expect(source.read([{ at: 64 * KIB, bytes: new Uint8Array(9) }])).toBeUndefined();
      await readAt(source, 3 * 64 * KIB, 9);
      expect((await file.seen()).length).toBe(before + 1);
    });

    it('shares a load among concurrent reads, also if the first one aborts', async () => {
      const { file, source } = await open({ delay: 100 });
      const abort = new AbortController();
      const reason = { mine: true };
      const first = readAt(source, 700_000, 100, abort.signal);
      const others = [1, 2, 3].map((step) => readAt(source, 700_000 + step * 10, 100));
      abort.abort(reason);
      await expect(first).rejects.toBe(reason);
      for (const [index, other] of (await Promise.all(others)).entries()) {
        expectSame(other, expected(700_010 + index * 10, 100));
      }
      expect(await file.ranges()).toHaveLength(2);
    });

    it('cancels a request when all its reads abort, and sends it again for a later read', async () => {
      const { file, source } = await open();
      await file.plan({ faults: [{ kind: 'stall' }] });
      const aborts = [new AbortController(), new AbortController()];
      const reads = aborts.map(({ signal }) => readAt(source, 700_000, 100, signal));
      for (const [index, abort] of aborts.entries()) setTimeout(() => abort.abort(index), 100);
      const reasons = (await Promise.allSettled(reads)).map((read) => read.status === 'rejected' && read.reason);
      expect(reasons).toEqual([0, 1]);
      expectSame(await readAt(source, 700_000, 100), expected(700_000, 100));
      await expect.poll(async () => (await file.seen())[1]!.left).toBe(true);
    });

    it.each<[string, Fault]>([
      ['while the server does not respond', { kind: 'silence' }],
      ['in the middle of a body', { kind: 'stall' }],
      ['while it waits for a retry', { kind: 'status', status: 503, retryAfter: '30' }],
    ])('rejects with the signal’s reason: %s', async (_, fault) => {
      const { file, source } = await open();
      await file.plan({ faults: [fault] });
      for (const length of [100, 2 * MIB]) {
        const reason = { mine: true };
        const abort = new AbortController();
        const read = readAt(source, 100_000, length, abort.signal);
        setTimeout(() => abort.abort(reason), 100);
        await expect(read).rejects.toBe(reason);
        await file.plan({ faults: [fault] });
      }
      const opening = new AbortController();
      const reason = new Error('enough');
      const stuck = httpSource(file.url, { signal: opening.signal });
      setTimeout(() => opening.abort(reason), 100);
      await expect(stuck).rejects.toBe(reason);
      await expect(httpSource(file.url, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
      await expect(readAt(source, 0, 1, AbortSignal.abort(reason))).rejects.toBe(reason);
    });

    it('rejects pending and later reads after close', async () => {
      const { file, source } = await open();
      await file.plan({ faults: [{ kind: 'silence' }] });
      const read = readAt(source, 700_000, 100);
      const refused = expect(read).rejects.toMatchObject({ name: 'Qcow2Error', code: 'closed' });
      await source.close?.();
      await source.close?.();
      await refused;
      await expect(readAt(source, 0, 1)).rejects.toMatchObject({ code: 'closed' });
      await expect(readAt(source, 0, 2 * MIB)).rejects.toMatchObject({ code: 'closed' });
    });

    it('limits the concurrent requests', async () => {
      const { file } = await open({ delay: 30 });
      let running = 0;
      let maxRunning = 0;
      const limited = await httpSource(file.url, {
        concurrency: 2,
        fetch: async (url, init) => {
          maxRunning = Math.max(maxRunning, ++running);
          return fetch(url, init).finally(() => running--);
        },
      });
      const batch = Array.from({ length: 12 }, (_, step) => ({
        at: 100_000 + step * 200_000,
        bytes: new Uint8Array(9),
      }));
      await limited.read(batch);
      expect(maxRunning).toBe(2);
    });
  });

  describe('httpSource on addresses and options', () => {
    it('opens an empty file, however the server responds to its range', async () => {
      for (const ranges of [true, false]) {
        const file = await host(new Uint8Array(0), { ranges });
        const source = await httpSource(file.url);
        expect(source.size).toBe(0);
        expectSame(await readAt(source, 0, 10), new Uint8Array(10));
      }
    });

    it.each([
      'blob:http://localhost/1',
      'file:///etc/hostname',
      'data:,abc',
      'ftp://host/x',
      ' bl\nob:x',
      'http://me:pw@host/',
    ])('fetches nothing from %j', async (url) => {
      const options = { fetch: () => Promise.reject(new Error('fetched')) };
      await expect(httpSource(url, options)).rejects.toThrow(TypeError);
    });

    it.each<HttpSourceOptions>([
      { headers: { range: 'bytes=0-1' } },
      { headers: { 'If-Range': '"1"' } },
      { retries: -1 },
      { retryDelay: Number.NaN },
      { concurrency: 0 },
      { blockSize: 5000 },
      { cacheBytes: -1 },
    ])('refuses %j', async (options) => {
      const file = await host(bytes);
      await expect(httpSource(file.url, options)).rejects.toThrow(/header|must be/);
    });

    it('sends the caller’s headers, with the caller’s fetch', async () => {
      const file = await host(bytes);
      const asked: string[] = [];
      const source = await httpSource(new URL(file.url), {
        headers: { 'X-Key': 'mine' },
        fetch: (url, init) => {
          asked.push(url);
          return fetch(url, init);
        },
      });
      await readAt(source, MIB, 10);
      expect(asked).toEqual([file.url, file.url]);
      const gets = (await file.seen()).filter(({ method }) => method === 'GET');
      expect(gets.map(({ headers }) => headers['x-key'])).toEqual(['mine', 'mine']);
    });

    it('accepts other block sizes', async () => {
      for (const blockSize of [4096, 256 * KIB]) {
        const { file, source } = await open({}, { blockSize });
        expectSame(await readAt(source, 0, 60_000), expected(0, 60_000));
        expect(await file.ranges()).toEqual([`0-${Math.max(65_536, blockSize) - 1}`]);
        expectSame(await readAt(source, MIB + 5, 10), expected(MIB + 5, 10));
        expect((await file.ranges())[1]).toBe(`${MIB}-${MIB + blockSize - 1}`);
        expectSame(await readAt(source, bytes.length - 5, 10), expected(bytes.length - 5, 10));
      }
    });
  });

  describe('images over HTTP', () => {
    it('opens a small image with two requests at most, and reads a mebibyte of it with one', async () => {
      const clusters = new Map<number, Cell>();
      for (let index = 0; index < 32; index++) clusters.set(index, cell(index));
      const { bytes: image } = buildImage({ size: 2 * MIB, clusters });
      const file = await host(image);
      const disk = await Qcow2Image.open(await httpSource(file.url));
      expect((await file.seen()).length).toBeLessThanOrEqual(2);
      await disk.read(0, new Uint8Array(512));
      const before = (await file.seen()).length;
      const into = new Uint8Array(MIB);
      await disk.read(MIB, into);
      expect((await file.seen()).length - before).toBe(1);
      for (let index = 0; index < 16; index++) expect(into[index * 65_536]).toBe(index + 17);
    });

    it('reads an image whose backing file is at another address', async () => {
      const base = await host(buildImage({ size: 2 * MIB, clusters: new Map([[9, cell(9)]]) }).bytes);
      const top = await host(
        buildImage({ size: 2 * MIB, backingName: 'base.qcow2', clusters: new Map([[1, cell(1)]]) }).bytes,
      );
      const disk = await Qcow2Image.open(await httpSource(top.url), { resolve: () => httpSource(base.url) });
      const into = new Uint8Array(2 * MIB);
      await disk.read(0, into);
      expect([into[65_536], into[9 * 65_536], into[5]]).toEqual([2, 10, 0]);
      await disk.close();
    });

    it('opens an image and its backing file by their URLs, and closes the sources with it', async () => {
      const base = await host(buildImage({ size: 2 * MIB, clusters: new Map([[9, cell(9)]]) }).bytes);
      const top = await host(
        buildImage({ size: 2 * MIB, backingName: 'base.qcow2', clusters: new Map([[1, cell(1)]]) }).bytes,
      );
      const disk = await Qcow2Image.open(new URL(top.url), { resolve: async () => new URL(base.url) });
      const into = await disk.read(0, 2 * MIB);
      expect([into[65_536], into[9 * 65_536], into[5]]).toEqual([2, 10, 0]);
      await disk.close();
      await expect(disk.read(0, 1)).rejects.toMatchObject({ code: 'closed' });
      const itself = Qcow2Image.open(new URL(top.url), { resolve: () => httpSource(top.url) });
      await expect(itself).rejects.toMatchObject({ code: 'corrupt', details: { roles: ['image', 'backing file'] } });
    });

    it('refuses a URL that cannot be fetched, and stops when the signal aborts', async () => {
      await expect(Qcow2Image.open(new URL('file:///nowhere.qcow2'))).rejects.toThrow(TypeError);
      const file = await host(new Uint8Array(100), { faults: [{ kind: 'silence' }] });
      const abort = new AbortController();
      const opening = Qcow2Image.open(new URL(file.url), { signal: abort.signal });
      setTimeout(() => abort.abort('enough'), 100);
      await expect(opening).rejects.toBe('enough');
    });
  });
}

/** A range of blocks of 64 KiB, both figures in KiB. */
function range(start: number, length: number): string {
  return `${start * KIB}-${(start + length) * KIB - 1}`;
}

/** A cluster whose every byte says which it is. */
function cell(index: number): Cell {
  return { kind: 'data', bytes: new Uint8Array(65_536).fill(index + 1) };
}
