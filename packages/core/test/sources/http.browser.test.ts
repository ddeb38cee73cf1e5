/** The source over HTTP, in browsers: everything it does, and what other origins let a page read. */
import { describe, expect, it } from 'vitest';
import { httpSource } from '../../src/index.js';
import { httpFailuresSuite } from '../suites/http-failures-suite.js';
import { httpServersSuite } from '../suites/http-servers-suite.js';
import { httpSuite } from '../suites/http-suite.js';
import { expectSame } from '../support/expect-same.js';
import { host } from '../support/http/hosted.js';

httpSuite();
httpFailuresSuite();
httpServersSuite();

const bytes = Uint8Array.from({ length: 300_000 }, (_, index) => index & 0xff);

describe('httpSource on another origin', () => {
  it('sends no preflight request', async () => {
    const file = await host(bytes, { etag: '"1"' });
    const source = await httpSource(file.url);
    const into = new Uint8Array(100);
    await source.read([{ at: 200_000, bytes: into }]);
    expectSame(into, bytes.subarray(200_000, 200_100));
    const seen = await file.seen();
    expect(seen.map(({ method }) => method)).toEqual(['GET', 'GET']);
    expect(seen[0]!.headers.origin).toBe(location.origin);
  });

  it('names the headers that a server must expose', async () => {
    const file = await host(bytes, { etag: '"1"', cors: 'hidden' });
    await expect(httpSource(file.url)).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('Access-Control-Expose-Headers: Content-Range, ETag'),
      details: { status: 206 },
    });
    expect(await file.ranges()).toHaveLength(1);
  });

  it('names the header that a server must send for other origins', async () => {
    const file = await host(bytes, { cors: 'none' });
    await expect(httpSource(file.url, { retries: 1, retryDelay: 5 })).rejects.toMatchObject({
      code: 'io',
      message: expect.stringContaining('Access-Control-Allow-Origin'),
    });
  });

  it('sends a preflight request for headers of the caller', async () => {
    const file = await host(bytes);
    await httpSource(file.url, { headers: { 'X-Key': 'mine' } });
    expect((await file.seen()).map(({ method }) => method)).toEqual(['OPTIONS', 'GET']);
  });
});
