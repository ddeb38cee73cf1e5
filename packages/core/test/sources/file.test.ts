/** The source over a file of Node's file system. */
import { mkdtempSync, openAsBlob, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { fileSource } from '../../node/index.js';
import { blobSource } from '../../src/index.js';
import { expectSame } from '../support/expect-same.js';

const folder = mkdtempSync(join(tmpdir(), 'qcow2-file-source-'));
afterAll(() => rmSync(folder, { recursive: true }));

const bytes = Uint8Array.from({ length: 200_003 }, (_, index) => (index * 11) & 0xff);
const path = join(folder, 'bytes');
writeFileSync(path, bytes);

describe('fileSource', () => {
  it('fills every transfer of a batch, adjacent and not, with zeros past the end', () => {
    const source = fileSource(path);
    expect(source.size).toBe(bytes.length);
    const places = [0, 100, 200, 150_000, bytes.length - 50, bytes.length + 50, 90_000];
    const transfers = places.map((at) => ({ at, bytes: new Uint8Array(100).fill(0xee) }));
    source.read(transfers);
    for (const { at, bytes: into } of transfers) {
      const expected = new Uint8Array(100);
      expected.set(bytes.subarray(at, at + 100));
      expectSame(into, expected);
    }
    source.close?.();
  });

  it('reads more adjacent transfers than one system call accepts', () => {
    const source = fileSource(pathToFileURL(path));
    const transfers = Array.from({ length: 3000 }, (_, index) => ({ at: index * 50, bytes: new Uint8Array(50) }));
    source.read(transfers);
    for (const { at, bytes: into } of transfers) expectSame(into, bytes.subarray(at, at + 50));
    source.close?.();
  });

  it('describes what is wrong with a path', () => {
    expect(() => fileSource(join(folder, 'nothing'))).toThrow(expect.objectContaining({ code: 'not-found' }));
    expect(() => fileSource(folder)).toThrow(expect.objectContaining({ code: 'io' }));
  });

  it('refuses bytes that were truncated since it was opened, and still reads the rest', () => {
    const shrinking = join(folder, 'shrinking');
    writeFileSync(shrinking, bytes);
    const source = fileSource(shrinking);
    truncateSync(shrinking, 1000);
    const into = new Uint8Array(100);
    const changed = expect.objectContaining({ name: 'Qcow2Error', code: 'changed' });
    expect(() => source.read([{ at: 950, bytes: into }])).toThrow(changed);
    const run = [900, 1000].map((at) => ({ at, bytes: new Uint8Array(100) }));
    expect(() => source.read(run)).toThrow(changed);
    source.read([{ at: 900, bytes: into }]);
    expectSame(into, bytes.subarray(900, 1000));
    source.read([{ at: bytes.length, bytes: into }]);
    expectSame(into, new Uint8Array(100));
    source.close?.();
  });

  it('can be closed twice, and not read afterwards', () => {
    const source = fileSource(path);
    source.close?.();
    source.close?.();
    expect(() => source.read([{ at: 0, bytes: new Uint8Array(1) }])).toThrow(
      expect.objectContaining({ code: 'closed' }),
    );
  });
});

describe('blobSource over a file of the disk', () => {
  it('reports that the file was changed since', async () => {
    const changing = join(folder, 'changing');
    writeFileSync(changing, bytes);
    const source = blobSource(await openAsBlob(changing));
    writeFileSync(changing, bytes.subarray(0, 1000));
    await expect(source.read([{ at: 0, bytes: new Uint8Array(10) }])).rejects.toMatchObject({ code: 'changed' });
  });
});
