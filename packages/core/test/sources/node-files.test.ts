/**
 * What of Node's files is the operating system's matter: locks of other processes, FIFOs, and calls of 2 GiB and more.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { openSync, readSync, truncateSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { MAX_CALL_BYTES } from '../../node/file-io.js';
import { fileDevice, fileSource } from '../../node/index.js';
import { Qcow2Image } from '../../src/index.js';
import { expectSame } from '../support/expect-same.js';
import { QemuFolder } from '../support/qemu.js';

const folder = new QemuFolder('node-files');
const MIB = 1024 * 1024;
const isLinux = process.platform === 'linux';

if (isLinux)
  describe('a file that QEMU has open', () => {
    const running: ChildProcess[] = [];
    afterEach(() => {
      for (const process of running.splice(0)) process.kill('SIGKILL');
    });

    /**
     * Starts a tool that waits with the image open, until it has locked it; the result ends it. QEMU's own lock, when
     * it is asked for the tool's, can make the tool end at its start, which is then started again.
     */
    async function hold(file: string, tool: string, ...args: string[]): Promise<() => Promise<void>> {
      for (;;) {
        const holder = spawn(tool, args, { cwd: folder.path, stdio: ['pipe', 'ignore', 'ignore'] });
        running.push(holder);
        const ended = new Promise<void>((resolve) => holder.once('exit', () => resolve()));
        await expect.poll(() => holder.exitCode !== null || isLocked(file), { timeout: 20_000 }).toBe(true);
        if (holder.exitCode !== null) continue;
        return () => {
          holder.kill('SIGKILL');
          return ended;
        };
      }
    }

    /** Whether QEMU itself finds the file locked. */
    function isLocked(file: string): boolean {
      return /Failed to get .*lock/.test(folder.tryImg('check', '-f', 'qcow2', file).error) || isLockedForWriting(file);
    }

    function isLockedForWriting(file: string): boolean {
      return /Failed to get .*lock/.test(folder.tryImg('bitmap', '--add', file, 'x').error);
    }

    test.each<[string, (file: string) => [string, ...string[]]]>([
      ['qemu-io, to write', (file) => ['qemu-io', '-f', 'qcow2', file]],
      ['qemu-io, to read', (file) => ['qemu-io', '-r', '-f', 'qcow2', file]],
      ['qemu-nbd', (file) => ['qemu-nbd', '-t', '-k', folder.at('nbd.sock'), '-f', 'qcow2', file]],
    ])('is refused for writing, until that has ended: %s', async (_, command) => {
      folder.img('create', '-q', '-f', 'qcow2', 'held.qcow2', '1M');
      const path = folder.at('held.qcow2');
      const letGo = await hold('held.qcow2', ...command('held.qcow2'));
      const locked = expect.objectContaining({
        name: 'Qcow2Error',
        code: 'locked',
        details: expect.objectContaining({ kind: 'OFDLCK' }),
      });
      expect(() => fileDevice(path)).toThrow(locked);
      // Reading, and going on at one's own risk.
      const image = await Qcow2Image.open(fileSource(path));
      await image.close();
      fileDevice(path, { ignoreLocks: true }).close?.();
      await letGo();
      const device = fileDevice(path);
      await (await Qcow2Image.open(device, { mode: 'readwrite' })).close();
      device.close?.();
    });

    test('is not mistaken for another file', async () => {
      folder.img('create', '-q', '-f', 'qcow2', 'held.qcow2', '1M');
      folder.img('create', '-q', '-f', 'qcow2', 'free.qcow2', '1M');
      const letGo = await hold('held.qcow2', 'qemu-io', '-f', 'qcow2', 'held.qcow2');
      fileDevice(folder.at('free.qcow2')).close?.();
      fileDevice(folder.at('new.qcow2'), { create: true }).close?.();
      await letGo();
    });
  });

if (process.platform !== 'win32')
  describe('a FIFO', () => {
    test('is refused without blocking', () => {
      execFileSync('mkfifo', [folder.at('fifo')]);
      const refused = expect.objectContaining({ code: 'io', message: expect.stringContaining('not a regular file') });
      expect(() => fileSource(folder.at('fifo'))).toThrow(refused);
      expect(() => fileDevice(folder.at('fifo'))).toThrow(refused);
    });
  });

describe('calls of 2 GiB and more', () => {
  const GIB = 1024 * MIB;

  test('are truncated to 32 bits by Node, and never made', () => {
    const fd = openSync(folder.at('cut'), 'w+');
    const bytes = new Uint8Array(4 * GIB);
    expect(() => readSync(fd, bytes, 0, 2 * GIB, 0)).toThrow(/out of range/);
    expect(MAX_CALL_BYTES).toBe(GIB);
  });

  // The bytes are never filled, so that the test takes neither memory nor time: what is missing is noticed first.
  test.each([2 * GIB, 3 * GIB, 4 * GIB])('read %i bytes up to the end of the file', (length) => {
    const path = folder.at('shrinking');
    writeFileSync(path, 'abc');
    truncateSync(path, 6 * GIB);
    const source = fileSource(path);
    truncateSync(path, 3);
    const bytes = new Uint8Array(length);
    const changed = expect.objectContaining({ code: 'changed', details: expect.objectContaining({ at: 3 }) });
    expect(() => source.read([{ at: 0, bytes }])).toThrow(changed);
    expect(String.fromCharCode(...bytes.subarray(0, 3))).toBe('abc');
    // Neighbours that are as long together.
    const half = length / 2;
    const run = [0, half].map((at) => ({ at, bytes: bytes.subarray(at, at + half) }));
    bytes.fill(0, 0, 3);
    expect(() => source.read(run)).toThrow(changed);
    expect(String.fromCharCode(...bytes.subarray(0, 3))).toBe('abc');
    source.close?.();
  });

  test('end at the end of a file like short ones', () => {
    writeFileSync(folder.at('short'), new Uint8Array(3 * MIB).fill(7));
    const source = fileSource(folder.at('short'));
    const bytes = new Uint8Array(4 * MIB).fill(1);
    source.read([{ at: 0, bytes }]);
    expectSame(bytes.subarray(0, 3 * MIB), new Uint8Array(3 * MIB).fill(7));
    expectSame(bytes.subarray(3 * MIB), new Uint8Array(MIB));
    source.close?.();
  });

  if (isLinux)
    test('write as much as the operating system takes', () => {
      const device = fileDevice(folder.at('limited'), { create: true });
      const maxSize = 2 ** 43 + 2 ** 42;
      // Past the longest file of most file systems: the reason is the system's and not that the length was cut.
      const error = (() => {
        try {
          device.write([{ at: 2 ** 53 - 4 * GIB - 1, bytes: new Uint8Array(4 * GIB) }]);
          return null;
        } catch (thrown) {
          return thrown as Error & { cause: NodeJS.ErrnoException };
        }
      })();
      expect(error).toMatchObject({ code: 'io', cause: { code: 'EFBIG' } });
      expect(device.size).toBeLessThan(maxSize);
      device.close?.();
    });
});
