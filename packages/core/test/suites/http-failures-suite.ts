/**
 * Owns the tests of the source over HTTP on servers that fail and files that change: what is tried again, and what is
 * said.
 */
import { describe, expect, it } from 'vitest';
import { httpSource } from '../../src/index.js';
import { expectSame } from '../support/expect-same.js';
import { host } from '../support/http/hosted.js';
import type { Fault, FilePlan } from '../support/http/plan.js';
import { bytes, expected, MIB, open, quick, readAt } from './http-reads.js';

/** Runs the suite in the current runtime. */
export function httpFailuresSuite(): void {
  describe('httpSource on servers that fail', () => {
    it.each<[string, Fault[]]>([
      ['503 twice', [status(503), status(503)]],
      ['429 with Retry-After', [status(429, '0')]],
      ['408', [status(408)]],
      ['500 with a date that has passed', [status(500, 'Tue, 01 Jan 2019 00:00:00 GMT')]],
      ['a connection that breaks before the response', [{ kind: 'drop', after: 0 }]],
      ['a connection that breaks in the middle of the body', [{ kind: 'drop', after: 40_000 }]],
      ['a body that is too short', [{ kind: 'short', length: 100 }]],
    ])('retries: %s', async (_, faults) => {
      const file = await host(bytes, { faults: [...faults] });
      const source = await httpSource(file.url, quick);
      expectSame(await readAt(source, 10, 100), expected(10, 100));
      expect(await file.ranges()).toHaveLength(1 + faults.length);
      await file.plan({ faults: [...faults] });
      expectSame(await readAt(source, 1_000_000, 2 * MIB), expected(1_000_000, 2 * MIB));
    });

    it('waits for Retry-After, up to a limit', async () => {
      const file = await host(bytes, { faults: [status(503, '1')] });
      const start = Date.now();
      await httpSource(file.url, quick);
      expect(Date.now() - start).toBeGreaterThanOrEqual(950);
      await file.plan({ faults: [status(503, '86400')] });
      await expect(httpSource(file.url, quick)).rejects.toMatchObject({ code: 'io', details: { status: 503 } });
      expect(await file.ranges()).toHaveLength(3);
    });

    it.each<[string, Fault, number, object]>([
      ['503 at every attempt', status(503), 4, { code: 'io', details: { status: 503, at: 0 } }],
      ['bodies that are always short', { kind: 'short', length: 9 }, 4, { code: 'io' }],
      ['connections that always break', { kind: 'drop', after: 9 }, 4, { code: 'io' }],
      ['403', status(403), 1, { code: 'io', details: { status: 403 } }],
      ['401', status(401), 1, { code: 'io', details: { status: 401 } }],
      ['404', status(404), 1, { code: 'not-found', details: { status: 404 } }],
      ['410', status(410), 1, { code: 'not-found' }],
      ['418', status(418), 1, { code: 'io', details: { status: 418 } }],
      ['another range than requested', contentRange('bytes 5-65535/100000'), 1, { code: 'io' }],
      ['a range that ends early', contentRange('bytes 0-99/100000'), 1, { code: 'io' }],
      ['a range past 2^53', contentRange('bytes 0-65535/99999999999999999'), 1, { code: 'unsupported' }],
      ['an unknown length', contentRange('bytes 0-65535/*'), 1, { code: 'unsupported' }],
      ['an invalid Content-Range', contentRange('all of it'), 1, { code: 'io' }],
      ['a body that is too long', { kind: 'long', extra: 5 }, 1, { code: 'io' }],
      ['an encoding', { kind: 'encoding', value: 'x-strange' }, 1, { code: 'unsupported' }],
      ['the whole file', { kind: 'whole' }, 1, { code: 'unsupported', details: { status: 200 } }],
    ])('refuses with a message: %s', async (_, fault, requests, error) => {
      const file = await host(bytes, { faults: Array.from({ length: 9 }, () => fault) });
      const typed = { name: 'Qcow2Error', ...error };
      await expect(httpSource(`${file.url}?key=secret`, quick)).rejects.toMatchObject(typed);
      await expect(httpSource(`${file.url}?key=secret`, { ...quick, retries: 0 })).rejects.not.toThrow(/secret/);
      expect(await file.ranges()).toHaveLength(requests + 1);
    });

    it.each<[string, Fault]>([
      ['the response', { kind: 'silence' }],
      ['the rest of the response', { kind: 'stall' }],
    ])('has a timeout for %s', async (_, fault) => {
      const options = { ...quick, timeout: 400 };
      const file = await host(bytes, { faults: [fault, fault] });
      const source = await httpSource(file.url, options);
      expectSame(await readAt(source, 10, 100), expected(10, 100));
      // More where the machine is so busy that a good answer takes too long.
      expect((await file.ranges()).length).toBeGreaterThanOrEqual(3);
      await file.plan({ faults: Array.from({ length: 4 }, () => fault) });
      await expect(readAt(source, 700_000, 100)).rejects.toMatchObject({
        code: 'io',
        message: expect.stringMatching(/sent nothing for 0\.4 seconds/),
        details: { at: 655_360 },
      });
      expectSame(await readAt(source, 700_000, 100), expected(700_000, 100));
    });

    it('has no timeout for a slow response while it receives data', async () => {
      const { file, source } = await open({}, { timeout: 2000 });
      await file.plan({ faults: [{ kind: 'slow', pause: 150 }] });
      const start = Date.now();
      expectSame(await readAt(source, 700_000, MIB), expected(700_000, MIB));
      expect(Date.now() - start).toBeGreaterThan(2000);
      expect(await file.ranges()).toHaveLength(2);
    });

    it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])('refuses a timeout of %d', async (timeout) => {
      const { url } = await host(bytes);
      await expect(httpSource(url, { timeout })).rejects.toThrow(RangeError);
    });

    it('reports that a missing Content-Range may not be exposed', async () => {
      const file = await host(bytes, { faults: [contentRange('')] });
      await expect(httpSource(file.url)).rejects.toThrow(/Access-Control-Expose-Headers: Content-Range, ETag/);
    });

    it('cancels the response with a whole file that it did not request', async () => {
      const file = await host(new Uint8Array(0), { ranges: false, zeros: 64 * MIB });
      await expect(httpSource(file.url)).rejects.toMatchObject({
        code: 'unsupported',
        message: expect.stringMatching(/does not support range requests/),
      });
      await expect.poll(async () => (await file.seen())[0]!.left).toBe(true);
      expect((await file.seen())[0]!.sent).toBeLessThan(32 * MIB);
    });

    it('rejects for a network error, and names possible causes', async () => {
      const failing = httpSource('http://127.0.0.1:1/disk.qcow2', { ...quick, retries: 1 });
      await expect(failing).rejects.toMatchObject({
        code: 'io',
        message: expect.stringMatching(/cannot be reached.*Access-Control-Allow-Origin/s),
      });
    });

    it('does not mix bytes of a failed response into the result', async () => {
      const { file, source } = await open();
      await file.plan({ faults: Array.from({ length: 4 }, () => ({ kind: 'short', length: 9 }) as const) });
      await expect(readAt(source, 700_000, 100)).rejects.toMatchObject({ code: 'io', details: { at: 655_360 } });
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
    ])('detects %s', async (_, before, after) => {
      const { file, source } = await open(before);
      expectSame(await readAt(source, 700_000, 100), expected(700_000, 100));
      await file.plan(after);
      await expect(readAt(source, 1_000_000, 100)).rejects.toMatchObject({ name: 'Qcow2Error', code: 'changed' });
      await expect(readAt(source, 0, 2 * MIB)).rejects.toMatchObject({ code: 'changed' });
      // What was read before is of one file with itself.
      expectSame(await readAt(source, 700_000, 100), expected(700_000, 100));
    });

    it('compares the ETag if there is one', async () => {
      const { file, source } = await open({ etag: '"1"', lastModified: 'Tue, 01 Jan 2019 00:00:00 GMT' });
      await file.plan({ etag: '"1"', lastModified: 'Tue, 01 Jan 2019 00:00:01 GMT' });
      expectSame(await readAt(source, 700_000, 100), expected(700_000, 100));
    });

    it('detects another length, also for a range past the new end', async () => {
      const { file, source } = await open();
      await file.put(bytes.subarray(0, 2 * MIB));
      await expect(readAt(source, 700_000, 100)).rejects.toMatchObject({ code: 'changed' });
      await expect(readAt(source, 3 * MIB, 100)).rejects.toMatchObject({ code: 'changed' });
      await file.put(new Uint8Array(0));
      await expect(readAt(source, 700_000, 100)).rejects.toMatchObject({ code: 'changed' });
    });
  });
}

function status(code: number, retryAfter?: string): Fault {
  return { kind: 'status', status: code, ...(retryAfter === undefined ? {} : { retryAfter }) };
}

function contentRange(value: string): Fault {
  return { kind: 'content-range', value };
}
