/**
 * Owns the tests of the source over HTTP on servers that keep to the standard in ways of their own: what is asked, and
 * what is made of it.
 */
import { describe, expect, it } from 'vitest';
import { httpSource } from '../../src/index.js';
import { expectSame } from '../support/expect-same.js';
import { host } from '../support/http/hosted.js';
import type { FilePlan } from '../support/http/plan.js';
import { bytes, expected, KIB, MIB, open, quick, readAt } from './http-reads.js';

const small = bytes.slice(0, 300);

/** Runs the suite in the current runtime. */
export function httpServersSuite(): void {
  describe('httpSource on servers that send fewer bytes than requested', () => {
    it('requests the rest, when opening and when reading', async () => {
      const { file, source } = await open({ etag: '"1"', maxBytes: 30_000 });
      expect(await file.ranges()).toEqual(['0-65535', '30000-65535', '60000-65535']);
      expectSame(await readAt(source, 0, 65_536), expected(0, 65_536));
      expect(await file.ranges()).toHaveLength(3);
      expectSame(await readAt(source, 1_000_000, MIB + 7), expected(1_000_000, MIB + 7));
      expectSame(await readAt(source, bytes.length - 40_000, 50_000), expected(bytes.length - 40_000, 50_000));
    });

    it('requests the rest of a file that is shorter than its first range', async () => {
      const file = await host(small, { maxBytes: 100 });
      const source = await httpSource(file.url, quick);
      expect(source.size).toBe(300);
      expectSame(await readAt(source, 0, 400), expected(0, 300, 400));
      expect(await file.ranges()).toEqual(['0-65535', '100-299', '200-299']);
    });

    it('requests the rest in any number of parts, if each is large enough', async () => {
      const { source } = await open({ etag: '"1"', maxBytes: 2000 });
      // More than 500 parts in one request of the source.
      expectSame(await readAt(source, 65_536, MIB), expected(65_536, MIB));
    });

    it('rejects when there are too many small parts', async () => {
      const file = await host(bytes, { maxBytes: 1 });
      await expect(httpSource(file.url, quick)).rejects.toMatchObject({
        name: 'Qcow2Error',
        code: 'io',
        message: expect.stringContaining('more than 256 parts'),
      });
      expect(await file.ranges()).toHaveLength(256);
    });

    it('detects a change between two parts', async () => {
      const { file, source } = await open({ etag: '"1"' });
      await file.plan({ etag: '"2"', maxBytes: 40_000 });
      await expect(readAt(source, 700_000, 100)).rejects.toMatchObject({ code: 'changed' });
    });
  });

  describe('httpSource on files that are shorter than the first range', () => {
    it.each<[string, FilePlan, string[]]>([
      ['the part up to the end', {}, ['0-65535']],
      ['the whole file', { pastEnd: 'whole' }, ['0-65535']],
      ['the whole file, without support for ranges', { ranges: false }, ['0-65535']],
      ['status 416 and the size', { pastEnd: '416' }, ['0-65535', '0-299']],
      ['status 416 without the size', { pastEnd: '416 without size' }, ['0-65535', '0-0', '1-299']],
    ])('accepts %s', async (_, plan, ranges) => {
      const file = await host(small, { etag: '"1"', ...plan });
      const source = await httpSource(file.url, { ...quick, cacheBytes: 0, blockSize: 4096 });
      expect(source.size).toBe(300);
      expectSame(await readAt(source, 0, 400), expected(0, 300, 400));
      expectSame(await readAt(source, 290, 20), expected(290, 10, 20));
      expect((await file.ranges()).slice(0, ranges.length)).toEqual(ranges);
      await source.close?.();
      await expect(readAt(source, 0, 1)).rejects.toMatchObject({ code: 'closed' });
    });

    it('accepts a whole file of exactly the first range, and refuses one that is a byte longer', async () => {
      const file = await host(bytes.slice(0, 64 * KIB), { ranges: false });
      const source = await httpSource(file.url, quick);
      expectSame(await readAt(source, 0, 64 * KIB), expected(0, 64 * KIB));
      const longer = await host(bytes.slice(0, 64 * KIB + 1), { ranges: false });
      await expect(httpSource(longer.url, quick)).rejects.toMatchObject({
        code: 'unsupported',
        details: { status: 200 },
      });
    });

    it.each(['416', '416 without size'] as const)('recognises an empty file with status %s', async (past) => {
      const file = await host(new Uint8Array(0), { pastEnd: past });
      expect((await httpSource(file.url, quick)).size).toBe(0);
    });
  });

  describe('httpSource on validators', () => {
    it('treats a weak and a strong ETag with the same tag as the same file', async () => {
      const { file, source } = await open({ etag: '"1"' });
      await file.plan({ etag: 'W/"1"' });
      expectSame(await readAt(source, 700_000, 100), expected(700_000, 100));
      await file.plan({ etag: 'W/"2"' });
      await expect(readAt(source, 1_000_000, 100)).rejects.toMatchObject({ code: 'changed' });
    });

    it.each([
      ['etag', 'ETag'],
      ['last-modified', 'Last-Modified'],
    ] as const)(
      'reports that the %s changes with every response, and sends no more requests',
      async (unsteady, name) => {
        const { file, source } = await open({ changingValidator: unsteady });
        const said = {
          name: 'Qcow2Error',
          code: 'unsupported',
          message: expect.stringContaining(`sends a different ${name} with every response`),
        };
        await expect(readAt(source, 700_000, 100)).rejects.toMatchObject(said);
        expect(await file.ranges()).toHaveLength(3);
        await expect(readAt(source, 1_000_000, 2 * MIB)).rejects.toMatchObject(said);
        expect(await file.ranges()).toHaveLength(3);
      },
    );

    it('rejects with changed if the new tag stays', async () => {
      const { file, source } = await open({ etag: '"1"' });
      await file.plan({ etag: '"2"' });
      await expect(readAt(source, 700_000, 100)).rejects.toMatchObject({ code: 'changed' });
      expect(await file.ranges()).toHaveLength(3);
    });
  });

  describe('httpSource on ranges with a Content-Encoding', () => {
    it('names the encoding as the cause', async () => {
      const file = await host(bytes, { faults: Array.from({ length: 9 }, () => ({ kind: 'gzip' }) as const) });
      const refused = expect(httpSource(file.url, { ...quick, retries: 1 })).rejects;
      await refused.toMatchObject({ name: 'Qcow2Error', message: expect.stringMatching(/encoded/) });
      await expect(httpSource(file.url, { ...quick, retries: 0 })).rejects.not.toThrow(/Access-Control/);
    });
  });
}
