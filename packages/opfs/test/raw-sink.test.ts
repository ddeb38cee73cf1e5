/** What a sync handle says when the quota is spent, as each browser was seen to say it, becomes `no-space`. */
import { isQcow2Error, type Qcow2Error } from 'qcow2';
import { expect, test } from 'vitest';
import { openSink, SyncSink } from '../src/worker/export/raw-sink.js';
import type { SyncHandle } from '../src/worker/storage/sync-handle.js';

/** A handle on memory. A spent quota cannot be had at will in a browser: its answers are overridden one by one. */
class MemoryHandle implements SyncHandle {
  bytes = new Uint8Array(10);
  flushed = 0;
  closed = 0;

  read(): number {
    throw new Error('a sink never reads');
  }

  write(bytes: Uint8Array, { at }: { at: number }): number {
    this.bytes.set(bytes, at);
    return bytes.length;
  }

  truncate(size: number): void {
    const next = new Uint8Array(size);
    next.set(this.bytes.subarray(0, size));
    this.bytes = next;
  }

  getSize(): number {
    return this.bytes.length;
  }

  flush(): void {
    this.flushed++;
  }

  close(): void {
    this.closed++;
  }
}

function thrownBy(work: () => unknown): Qcow2Error {
  try {
    work();
  } catch (error) {
    if (isQcow2Error(error)) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

test('fills the file, and the rest reads as zeros', () => {
  const handle = new MemoryHandle();
  handle.bytes.fill(9);
  const sink = new SyncSink(handle, 8, 100);
  sink.write(2, Uint8Array.of(1, 2, 3));
  sink.finish();
  expect([...handle.bytes]).toEqual([0, 0, 1, 2, 3, 0, 0, 0]);
  expect(handle).toMatchObject({ flushed: 1, closed: 1 });
});

test.each([0, 2, 4294967288])('a write that returns %d for 3 bytes is no-space', (count) => {
  const handle = new MemoryHandle();
  const sink = new SyncSink(handle, 8, 5);
  handle.write = () => count;
  const error = thrownBy(() => sink.write(0, Uint8Array.of(1, 2, 3)));
  expect(error.code).toBe('no-space');
  expect(error.details).toEqual({ needed: 8, available: undefined });
});

test('a write that throws QuotaExceededError is no-space', () => {
  const handle = new MemoryHandle();
  const sink = new SyncSink(handle, 8, null);
  handle.write = () => {
    throw new DOMException('spent', 'QuotaExceededError');
  };
  expect(thrownBy(() => sink.write(0, Uint8Array.of(1))).details).toEqual({ needed: 8, available: undefined });
});

test('a truncate that silently does nothing is no-space, and the file is unchanged', () => {
  const handle = new MemoryHandle();
  handle.truncate = () => {};
  const error = thrownBy(() => new SyncSink(handle, 16, 5));
  expect(error.code).toBe('no-space');
  expect(error.details).toEqual({ needed: 16, available: 15 });
  expect(handle.closed).toBe(1);
  expect(handle.bytes.length).toBe(10);
});

test('a free space that contradicts the error is not reported', () => {
  const handle = new MemoryHandle();
  handle.truncate = () => {};
  expect(thrownBy(() => new SyncSink(handle, 16, 10 * 2 ** 30)).details).toEqual({ needed: 16, available: undefined });
});

test('a file that cannot grow is no-space with any error, and is unchanged', () => {
  const handle = new MemoryHandle();
  handle.bytes.fill(9);
  handle.truncate = () => {
    throw { name: 'NS_ERROR_FILE_NO_DEVICE_SPACE' };
  };
  expect(thrownBy(() => new SyncSink(handle, 16, null)).code).toBe('no-space');
  expect(handle.closed).toBe(1);
  expect([...handle.bytes]).toEqual(new Array(10).fill(9));
});

test('abandoned, the file is empty', () => {
  const handle = new MemoryHandle();
  const sink = new SyncSink(handle, 8, 100);
  sink.write(0, Uint8Array.of(1));
  sink.abandon();
  expect(handle.bytes.length).toBe(0);
  expect(handle.closed).toBe(1);
});

test('a writable stream that cannot grow is aborted', async () => {
  // A file of a person's, which no test can have without the picker.
  const aborted: string[] = [];
  const writable = {
    truncate: async () => {
      throw new DOMException('spent', 'QuotaExceededError');
    },
    abort: async () => void aborted.push('aborted'),
  };
  const file = { createWritable: async () => writable } as unknown as FileSystemFileHandle;
  await expect(openSink(file, 8, null)).rejects.toMatchObject({ code: 'no-space' });
  expect(aborted).toEqual(['aborted']);
});

test.each([
  ['an error of the platform', new DOMException('no more', 'InvalidStateError'), 'io'],
  ['an error specific to Firefox', { name: 'NS_ERROR_FAILURE' }, 'io'],
  ['an exceeded quota', new DOMException('spent', 'QuotaExceededError'), 'no-space'],
])('a flush that fails with %s is typed', (_, cause, code) => {
  const handle = new MemoryHandle();
  const sink = new SyncSink(handle, 8, 100);
  handle.flush = () => {
    throw cause;
  };
  expect(thrownBy(() => sink.finish())).toMatchObject({ code, cause });
  // Whoever abandons it then hears of the first error alone.
  sink.abandon();
  expect(handle).toMatchObject({ closed: 1 });
});

test('a flush writes at most 64 MiB to the medium', () => {
  const handle = new MemoryHandle();
  const sink = new SyncSink(handle, 0, 100);
  handle.write = (bytes) => bytes.length;
  const bytes = new Uint8Array(2 ** 20);
  for (let at = 0; at < 200; at++) sink.write(at * bytes.length, bytes);
  expect(handle.flushed).toBe(3);
});
