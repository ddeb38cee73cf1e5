/** Owns the tests of the source over HTTP, against a real server: what it asks for, what it believes, and what it says otherwise. */
import { describe, expect, it } from 'vitest';
import { type ByteSource, type HttpSourceOptions, httpSource, Qcow2Image } from '../../src/index.js';
import { type Hosted, host } from '../support/http/hosted.js';
import type { Fault, FilePlan } from '../support/http/plan.js';
import { buildImage, type Cell } from '../support/image-builder.js';
import { expectSame } from './expect-same.js';

const KIB = 1024;
const MIB = 1024 * KIB;

const bytes = Uint8Array.from({ length: 3 * MIB + 123 }, (_, index) => (index * 7 + (index >> 12)) & 0xff);
/** Waits that a test does not notice. */
const quick = { retryDelay: 5 };

async function open(
  plan: FilePlan = {},
  options: HttpSourceOptions = {},
): Promise<{ file: Hosted; source: ByteSource }> {
  const file = await host(bytes, plan);
  return { file, source: await httpSource(file.url, { ...quick, ...options }) };
}

async function readAt(source: ByteSource, at: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
  const into = new Uint8Array(length).fill(0xee);
  await source.read([{ at, bytes: into }], signal);
  return into;
}

/** What a caller sees as a rejection, also where a source throws at once. */
function reading(source: ByteSource, at: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
  return readAt(source, at, length, signal);
}

/** The bytes as they are, with zeros past the end. */
function expected(at: number, length: number): Uint8Array {
  const part = new Uint8Array(length);
  part.set(bytes.subarray(at, at + length));
  return part;
}

/** Runs the suite in the current runtime. */
export function httpSuite(): void {
  describe('httpSource', () => {
    it('learns the size from the first range, and reads anywhere, with zeros past the end', async () => {
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

    it('asks for neighbours and near neighbours of a batch once, and for what is far apart', async () => {
      const { file, source } = await open();
      const places = [1_000_000, 200_000, 264_000, 2_500_000, 390_000];
      const batch = places.map((at) => ({ at, bytes: new Uint8Array(4096) }));
      await source.read(batch);
      for (const { at, bytes: into } of batch) expectSame(into, expected(at, 4096));
      const far = (await file.ranges()).slice(1).sort();
      expect(far).toEqual([range(3 * 64, 64 * 3 + 64), range(15 * 64, 64), range(38 * 64, 64)].sort());
    });

    it('keeps blocks within its budget, those used last, and answers from them at once', async () => {
      const { file, source } = await open({}, { cacheBytes: 256 * KIB });
      for (const block of [1, 3, 5, 1, 7, 9]) await readAt(source, block * 64 * KIB + 5, 100);
      const before = (await file.seen()).length;
      expect(before).toBe(1 + 5);
      expect(source.read([{ at: 64 * KIB, bytes: new Uint8Array(9) }])).toBeUndefined();
      await readAt(source, 3 * 64 * KIB, 9);
      expect((await file.seen()).length).toBe(before + 1);
    });

    it('loads once what many want, also when the one who began it goes', async () => {
      const { file, source } = await open({ delay: 100 });
      const abort = new AbortController();
      const reason = { mine: true };
      const first = reading(source, 700_000, 100, abort.signal);
      const others = [1, 2, 3].map((step) => reading(source, 700_000 + step * 10, 100));
      abort.abort(reason);
      await expect(first).rejects.toBe(reason);
      for (const [index, other] of (await Promise.all(others)).entries()) {
        expectSame(other, expected(700_010 + index * 10, 100));
      }
      expect(await file.ranges()).toHaveLength(2);
    });

    it('stops a request that nobody wants any more, and makes it again for who comes then', async () => {
      const { file, source } = await open();
      await file.plan({ faults: [{ kind: 'stall' }] });
      const aborts = [new AbortController(), new AbortController()];
      const reads = aborts.map(({ signal }) => reading(source, 700_000, 100, signal));
      for (const [index, abort] of aborts.entries()) setTimeout(() => abort.abort(index), 100);
      const reasons = (await Promise.allSettled(reads)).map((read) => read.status === 'rejected' && read.reason);
      expect(reasons).toEqual([0, 1]);
      expectSame(await readAt(source, 700_000, 100), expected(700_000, 100));
      await expect.poll(async () => (await file.seen())[1]!.left).toBe(true);
    });

    it.each<[string, Fault]>([
      ['while the server is silent', { kind: 'silence' }],
      ['in the middle of a body', { kind: 'stall' }],
      ['while it waits to try again', { kind: 'status', status: 503, retryAfter: '30' }],
    ])('aborts with the signal’s reason, untouched: %s', async (_, fault) => {
      const { file, source } = await open();
      await file.plan({ faults: [fault] });
      for (const length of [100, 2 * MIB]) {
        const reason = { mine: true };
        const abort = new AbortController();
        const read = reading(source, 100_000, length, abort.signal);
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
      await expect(reading(source, 0, 1, AbortSignal.abort(reason))).rejects.toBe(reason);
    });

    it('closes: what is under way is refused, and what comes after', async () => {
      const { file, source } = await open();
      await file.plan({ faults: [{ kind: 'silence' }] });
      const read = reading(source, 700_000, 100);
      const refused = expect(read).rejects.toMatchObject({ name: 'Qcow2Error', code: 'closed' });
      await source.close?.();
      await source.close?.();
      await refused;
      await expect(reading(source, 0, 1)).rejects.toMatchObject({ code: 'closed' });
      await expect(reading(source, 0, 2 * MIB)).rejects.toMatchObject({ code: 'closed' });
    });

    it('bounds how many requests are under way', async () => {
      const { file } = await open({ delay: 30 });
      let running = 0;
      let most = 0;
      const limited = await httpSource(file.url, {
        concurrency: 2,
        fetch: async (url, init) => {
          most = Math.max(most, ++running);
          return fetch(url, init).finally(() => running--);
        },
      });
      const batch = Array.from({ length: 12 }, (_, step) => ({
        at: 100_000 + step * 200_000,
        bytes: new Uint8Array(9),
      }));
      await limited.read(batch);
      expect(most).toBe(2);
    });
  });

  describe('httpSource on servers that fail', () => {
    it.each<[string, Fault[]]>([
      ['503 twice', [status(503), status(503)]],
      ['429 with Retry-After', [status(429, '0')]],
      ['408', [status(408)]],
      ['500 with a date that has passed', [status(500, 'Tue, 01 Jan 2019 00:00:00 GMT')]],
      ['a connection that breaks before the answer', [{ kind: 'drop', after: 0 }]],
      ['a connection that breaks in the middle of the body', [{ kind: 'drop', after: 40_000 }]],
      ['a body that is too short', [{ kind: 'short', length: 100 }]],
    ])('tries again: %s', async (_, faults) => {
      const file = await host(bytes, { faults: [...faults] });
      const source = await httpSource(file.url, quick);
      expectSame(await readAt(source, 10, 100), expected(10, 100));
      expect(await file.ranges()).toHaveLength(1 + faults.length);
      await file.plan({ faults: [...faults] });
      expectSame(await readAt(source, 1_000_000, 2 * MIB), expected(1_000_000, 2 * MIB));
    });

    it('waits as long as the server asks, within reason', async () => {
      const file = await host(bytes, { faults: [status(503, '1')] });
      const start = Date.now();
      await httpSource(file.url, quick);
      expect(Date.now() - start).toBeGreaterThanOrEqual(950);
      await file.plan({ faults: [status(503, '86400')] });
      await expect(httpSource(file.url, quick)).rejects.toMatchObject({ code: 'io', details: { status: 503 } });
      expect(await file.ranges()).toHaveLength(3);
    });

    it.each<[string, Fault, number, object]>([
      ['503 for ever', status(503), 4, { code: 'io', details: { status: 503, at: 0 } }],
      ['bodies that are always short', { kind: 'short', length: 9 }, 4, { code: 'io' }],
      ['connections that always break', { kind: 'drop', after: 9 }, 4, { code: 'io' }],
      ['403', status(403), 1, { code: 'io', details: { status: 403 } }],
      ['401', status(401), 1, { code: 'io', details: { status: 401 } }],
      ['404', status(404), 1, { code: 'not-found', details: { status: 404 } }],
      ['410', status(410), 1, { code: 'not-found' }],
      ['418', status(418), 1, { code: 'io', details: { status: 418 } }],
      ['another range than was asked for', contentRange('bytes 5-65535/100000'), 1, { code: 'io' }],
      ['a range that ends early', contentRange('bytes 0-99/100000'), 1, { code: 'io' }],
      ['a range past 2^53', contentRange('bytes 0-65535/99999999999999999'), 1, { code: 'unsupported' }],
      ['a length that it does not tell', contentRange('bytes 0-65535/*'), 1, { code: 'unsupported' }],
      ['a Content-Range that is none', contentRange('all of it'), 1, { code: 'io' }],
      ['a body that is too long', { kind: 'long', extra: 5 }, 1, { code: 'io' }],
      ['an encoding', { kind: 'encoding', value: 'x-strange' }, 1, { code: 'unsupported' }],
      ['the whole file', { kind: 'whole' }, 1, { code: 'unsupported', details: { status: 200 } }],
    ])('refuses, with words: %s', async (_, fault, requests, error) => {
      const file = await host(bytes, { faults: Array.from({ length: 9 }, () => fault) });
      const typed = { name: 'Qcow2Error', ...error };
      await expect(httpSource(`${file.url}?key=secret`, quick)).rejects.toMatchObject(typed);
      await expect(httpSource(`${file.url}?key=secret`, { ...quick, retries: 0 })).rejects.not.toThrow(/secret/);
      expect(await file.ranges()).toHaveLength(requests + 1);
    });

    it('says that a missing Content-Range may be one that is not exposed', async () => {
      const file = await host(bytes, { faults: [contentRange('')] });
      await expect(httpSource(file.url)).rejects.toThrow(/Access-Control-Expose-Headers: Content-Range, ETag/);
    });

    it('never takes in a whole file that it did not ask for', async () => {
      const file = await host(new Uint8Array(0), { ranges: false, zeros: 64 * MIB });
      await expect(httpSource(file.url)).rejects.toMatchObject({
        code: 'unsupported',
        message: expect.stringMatching(/does not do ranges/),
      });
      await expect.poll(async () => (await file.seen())[0]!.left).toBe(true);
      expect((await file.seen())[0]!.sent).toBeLessThan(32 * MIB);
    });

    it('fails as a network does, and says what may be the matter', async () => {
      const failing = httpSource('http://127.0.0.1:1/disk.qcow2', { ...quick, retries: 1 });
      await expect(failing).rejects.toMatchObject({
        code: 'io',
        message: expect.stringMatching(/cannot be reached.*Access-Control-Allow-Origin/s),
      });
    });

    it('leaves no bytes of a failed read for good ones', async () => {
      const { file, source } = await open();
      await file.plan({ faults: Array.from({ length: 4 }, () => ({ kind: 'short', length: 9 }) as const) });
      await expect(reading(source, 700_000, 100)).rejects.toMatchObject({ code: 'io', details: { at: 655_360 } });
      expectSame(await readAt(source, 700_000, 100), expected(700_000, 100));
    });
  });

  describe('httpSource on files that change', () => {
    it.each<[string, FilePlan, FilePlan]>([
      ['another ETag', { etag: '"1"' }, { etag: '"2"' }],
      [
        'another Last-Modified',
        { lastModified: 'Tue, 01 Jan 2019 00:00:00 GMT' },
        { lastModified: 'Tue, 01 Jan 2019 00:00:01 GMT' },
      ],
    ])('notices %s', async (_, before, after) => {
      const { file, source } = await open(before);
      expectSame(await readAt(source, 700_000, 100), expected(700_000, 100));
      await file.plan(after);
      await expect(reading(source, 1_000_000, 100)).rejects.toMatchObject({ name: 'Qcow2Error', code: 'changed' });
      await expect(reading(source, 0, 2 * MIB)).rejects.toMatchObject({ code: 'changed' });
      // What was read before is of one file with itself.
      expectSame(await readAt(source, 700_000, 100), expected(700_000, 100));
    });

    it('goes by the ETag where there is one', async () => {
      const { file, source } = await open({ etag: '"1"', lastModified: 'Tue, 01 Jan 2019 00:00:00 GMT' });
      await file.plan({ etag: '"1"', lastModified: 'Tue, 01 Jan 2019 00:00:01 GMT' });
      expectSame(await readAt(source, 700_000, 100), expected(700_000, 100));
    });

    it('notices another length, also where it is asked for what is gone', async () => {
      const { file, source } = await open();
      await file.put(bytes.subarray(0, 2 * MIB));
      await expect(reading(source, 700_000, 100)).rejects.toMatchObject({ code: 'changed' });
      await expect(reading(source, 3 * MIB, 100)).rejects.toMatchObject({ code: 'changed' });
      await file.put(new Uint8Array(0));
      await expect(reading(source, 700_000, 100)).rejects.toMatchObject({ code: 'changed' });
    });
  });

  describe('httpSource on addresses and options', () => {
    it('opens an empty file, whatever the server makes of a range of nothing', async () => {
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

    it('sends the caller’s headers with the caller’s fetch', async () => {
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

    it('takes blocks of other sizes', async () => {
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
  });
}

/** A range of blocks of 64 KiB, both figures in KiB. */
function range(start: number, length: number): string {
  return `${start * KIB}-${(start + length) * KIB - 1}`;
}

function status(code: number, retryAfter?: string): Fault {
  return { kind: 'status', status: code, ...(retryAfter === undefined ? {} : { retryAfter }) };
}

function contentRange(value: string): Fault {
  return { kind: 'content-range', value };
}

/** A cluster whose every byte says which it is. */
function cell(index: number): Cell {
  return { kind: 'data', bytes: new Uint8Array(65_536).fill(index + 1) };
}
