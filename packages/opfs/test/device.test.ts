/** What OpfsDevice makes of handles that fail the way browsers' do; a real one cannot be made to. */
import { describe, expect, test } from 'vitest';
import { OpfsDevice } from '../src/worker/storage/opfs-device.js';
import type { SyncHandle } from '../src/worker/storage/sync-handle.js';

/** A handle over a buffer, some of whose verbs are replaced. */
function deviceOver(faults: Partial<SyncHandle>, initial: readonly number[] = [1, 2, 3, 4]): OpfsDevice {
  let bytes = Uint8Array.from(initial);
  const handle: SyncHandle = {
    read(into, { at }) {
      const part = bytes.subarray(at, at + into.length);
      into.set(part);
      return part.length;
    },
    write(from, { at }) {
      const grown = new Uint8Array(Math.max(bytes.length, at + from.length));
      grown.set(bytes);
      grown.set(from, at);
      bytes = grown;
      return from.length;
    },
    truncate(size) {
      const cut = new Uint8Array(size);
      cut.set(bytes.subarray(0, size));
      bytes = cut;
    },
    getSize: () => bytes.length,
    flush() {},
    close() {},
  };
  return new OpfsDevice({ ...handle, ...faults });
}

const transfer = (at: number, length: number): { at: number; bytes: Uint8Array<ArrayBuffer> } => ({
  at,
  bytes: new Uint8Array(length).fill(0xee),
});

describe('a write', () => {
  test.each([
    ['Chromium’s count', 4294967288],
    ['Firefox’s count', 0],
    ['half of it', 1],
  ])('that returns %s is no-space', (_, count) => {
    const device = deviceOver({ write: () => count });
    const error = expect.objectContaining({ code: 'no-space', details: { needed: 6, available: undefined } });
    expect(() => device.write([transfer(4, 2)])).toThrow(error);
    expect(device.size).toBe(4);
  });

  test.each([
    ['QuotaExceededError', 'no-space'],
    ['NoModificationAllowedError', 'locked'],
    ['InvalidStateError', 'io'],
  ])('that throws %s is %s', (name, code) => {
    const cause = new DOMException('no', name);
    const device = deviceOver({
      write() {
        throw cause;
      },
    });
    expect(() => device.write([transfer(0, 2)])).toThrow(expect.objectContaining({ code, cause }));
  });

  test('is always at an offset', () => {
    const at: unknown[] = [];
    const device = deviceOver({
      write(bytes, options) {
        at.push(options);
        return bytes.length;
      },
    });
    device.write([transfer(7, 2), transfer(0, 1)]);
    expect(at).toEqual([{ at: 7 }, { at: 0 }]);
  });
});

test('a flush writes at most 64 MiB to the medium', () => {
  let flushes = 0;
  const mebibyte = [transfer(0, 2 ** 20)];
  const device = deviceOver({ write: (bytes) => bytes.length, flush: () => flushes++ });
  const write = (count: number): void => {
    for (let done = 0; done < count; done++) device.write(mebibyte);
  };
  write(63);
  expect(flushes).toBe(0);
  device.flush();
  write(63);
  expect(flushes).toBe(1);
  write(65);
  expect(flushes).toBe(3);
});

describe('truncate', () => {
  test('that silently does nothing is no-space when it should have grown', () => {
    const device = deviceOver({ truncate() {} });
    expect(() => device.truncate(10)).toThrow(expect.objectContaining({ code: 'no-space' }));
    expect(() => device.truncate(2)).toThrow(expect.objectContaining({ code: 'io' }));
    expect(device.size).toBe(4);
  });

  test('that throws an error other than a DOMException, as in Firefox, is no-space when it should have grown', () => {
    const cause = new Error('NS_ERROR_FILE_NO_DEVICE_SPACE');
    const device = deviceOver({
      truncate() {
        throw cause;
      },
    });
    expect(() => device.truncate(10)).toThrow(expect.objectContaining({ code: 'no-space', cause }));
    expect(() => device.truncate(2)).toThrow(expect.objectContaining({ code: 'io', cause }));
  });
});

describe('a read', () => {
  test('that returns fewer bytes than the file has is io', () => {
    for (const count of [0, 3, 4294967288]) {
      const device = deviceOver({ read: () => count });
      expect(() => device.read([transfer(0, 4)])).toThrow(expect.objectContaining({ code: 'io' }));
    }
  });

  test('across the end reads the existing bytes, and the rest is zeros', () => {
    const asked: number[] = [];
    const device = deviceOver({
      read(into) {
        asked.push(into.length);
        into.fill(9);
        return into.length;
      },
    });
    const across = transfer(3, 3);
    device.read([across, transfer(4, 8)]);
    expect([...across.bytes]).toEqual([9, 0, 0]);
    expect(asked).toEqual([1]);
  });

  test('stops for a signal with its reason', () => {
    const reason = { mine: true };
    let thrown: unknown;
    try {
      deviceOver({}).read([transfer(0, 1)], AbortSignal.abort(reason));
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBe(reason);
  });
});

test('close closes the handle once', () => {
  let closed = 0;
  const device = deviceOver({ close: () => closed++ });
  device.close();
  device.close();
  expect(closed).toBe(1);
});
