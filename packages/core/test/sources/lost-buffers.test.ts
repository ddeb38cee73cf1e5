/** Buffers that lose their memory under a request, in Node. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { fileDevice, fileSource } from '../../node/index.js';
import { lostBuffersSuite } from '../suites/lost-buffers-suite.js';

lostBuffersSuite();

const folder = mkdtempSync(join(tmpdir(), 'qcow2-lost-buffers-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('a file', () => {
  it('refuses a batch with a transferred buffer, and changes nothing', () => {
    const path = join(folder, 'file');
    writeFileSync(path, new Uint8Array(100).fill(7));
    const gone = new Uint8Array(10);
    structuredClone(gone.buffer, { transfer: [gone.buffer] });
    const into = new Uint8Array(10);
    const batch = [
      { at: 0, bytes: into },
      { at: 50, bytes: gone },
    ];
    const device = fileDevice(path);
    for (const source of [fileSource(path), device]) expect(() => source.read(batch)).toThrow(/Buffer 1/);
    expect(() => device.write(batch)).toThrow(/Buffer 1/);
    expect(into.every((byte) => byte === 0)).toBe(true);
    device.read([{ at: 0, bytes: into }]);
    expect(into.every((byte) => byte === 7)).toBe(true);
  });
});
