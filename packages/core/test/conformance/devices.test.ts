/** The device suite over memory and over a file of Node's file system. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { fileDevice } from '../../node/index.js';
import { bufferDevice } from '../../src/index.js';
import { expectSame } from '../support/expect-same.js';
import { deviceSuite } from './device-suite.js';

const folder = mkdtempSync(join(tmpdir(), 'qcow2-devices-'));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;

deviceSuite('memory', () => bufferDevice());
deviceSuite('a file', () => fileDevice(join(folder, `${files++}`), { create: true }));

describe('fileDevice', () => {
  it('creates only a file that does not exist, and opens only one that does', () => {
    const path = join(folder, 'once');
    expect(() => fileDevice(path)).toThrow(expect.objectContaining({ code: 'not-found' }));
    fileDevice(path, { create: true }).close?.();
    expect(() => fileDevice(path, { create: true })).toThrow(expect.objectContaining({ code: 'exists' }));
    fileDevice(path).close?.();
    expect(() => fileDevice(folder)).toThrow(expect.objectContaining({ code: 'io' }));
  });
});

describe('bufferDevice', () => {
  it('copies its initial bytes, and returns a copy', async () => {
    const initial = new Uint8Array(100_000).fill(7);
    const device = bufferDevice(initial);
    initial.fill(0);
    expect(device.size).toBe(100_000);
    await device.write([{ at: 99_999, bytes: new Uint8Array([1, 2]) }]);
    const expected = new Uint8Array(100_001).fill(7);
    expected.set([1, 2], 99_999);
    expectSame(device.bytes(), expected);
  });

  it('allocates no memory for pages that were never written', async () => {
    const device = bufferDevice();
    await device.truncate(2 ** 50);
    const bytes = new Uint8Array(10).fill(1);
    await device.read([{ at: 2 ** 49, bytes }]);
    expectSame(bytes, new Uint8Array(10));
  });
});
