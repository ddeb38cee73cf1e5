/** Owns the tests that every BlockDevice passes, whatever holds its bytes. */
import { describe, expect, it } from 'vitest';
import type { BlockDevice, Transfer } from '../../src/index.js';
import { expectSame } from '../support/expect-same.js';
import { noiseOf } from '../support/numbers.js';

async function readAt(device: BlockDevice, at: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length).fill(0xee);
  await device.read([{ at, bytes }]);
  return bytes;
}

/** What a device does may be done at once or promised; a throw at once counts as a rejection. */
async function attempt(work: () => void | Promise<void>): Promise<void> {
  await work();
}

/** Runs the suite on empty devices that `make` gives; each test closes its own. */
export function deviceSuite(name: string, make: () => BlockDevice | Promise<BlockDevice>): void {
  describe(`device: ${name}`, () => {
    it('is empty at first, and reads as zeros past its end', async () => {
      const device = await make();
      expect(device.size).toBe(0);
      expectSame(await readAt(device, 0, 10), new Uint8Array(10));
      expectSame(await readAt(device, 1_000_000, 10), new Uint8Array(10));
      await device.close?.();
    });

    it('grows when written past its end, with zeros between', async () => {
      const device = await make();
      await device.write([{ at: 100_000, bytes: noiseOf(1, 1000) }]);
      expect(device.size).toBe(101_000);
      expectSame(await readAt(device, 0, 100_000), new Uint8Array(100_000));
      expectSame(await readAt(device, 100_000, 1000), noiseOf(1, 1000));
      const across = await readAt(device, 100_990, 20);
      expectSame(across.subarray(0, 10), noiseOf(1, 1000).subarray(990));
      expectSame(across.subarray(10), new Uint8Array(10));
      await device.close?.();
    });

    it('writes and reads batches of many transfers, adjacent and not, in any order', async () => {
      const device = await make();
      const places = [0, 4096, 8192, 70_000, 1_000_000, 12_288, 500_001];
      await device.write(places.map((at, index) => ({ at, bytes: noiseOf(index, 4096) })));
      const reads: Transfer[] = [...places].reverse().map((at) => ({ at, bytes: new Uint8Array(4096) }));
      await device.read(reads);
      for (const { at, bytes } of reads) expectSame(bytes, noiseOf(places.indexOf(at), 4096));
      await device.close?.();
    });

    it('accepts an empty batch and an empty transfer', async () => {
      const device = await make();
      await device.write([]);
      await device.read([]);
      await device.write([{ at: 0, bytes: new Uint8Array(0) }]);
      expect(device.size).toBe(0);
      await device.close?.();
    });

    it('writes large transfers completely', async () => {
      const device = await make();
      const large = noiseOf(5, 9 * 1024 * 1024 + 7);
      await device.write([{ at: 3, bytes: large }]);
      expect(device.size).toBe(large.length + 3);
      expectSame(await readAt(device, 3, large.length), large);
      await device.close?.();
    });

    it('accepts views of larger buffers, and does not change the bytes around them', async () => {
      const device = await make();
      const buffer = noiseOf(6, 3000);
      await device.write([{ at: 0, bytes: buffer.subarray(1000, 2000) }]);
      expect(device.size).toBe(1000);
      const around = new Uint8Array(3000).fill(0xaa);
      await device.read([{ at: 0, bytes: around.subarray(1000, 2000) }]);
      expectSame(around.subarray(1000, 2000), buffer.subarray(1000, 2000));
      expectSame(around.subarray(0, 1000), new Uint8Array(1000).fill(0xaa));
      expectSame(around.subarray(2000), new Uint8Array(1000).fill(0xaa));
      await device.close?.();
    });

    it('has copied the bytes when the write has ended, so that the caller may change the buffer', async () => {
      const device = await make();
      const bytes = noiseOf(7, 5000);
      await device.write([{ at: 0, bytes }]);
      bytes.fill(0);
      expectSame(await readAt(device, 0, 5000), noiseOf(7, 5000));
      await device.close?.();
    });

    it('shrinks and grows by truncate, and reads zeros where it has grown again', async () => {
      const device = await make();
      await device.write([{ at: 0, bytes: noiseOf(2, 200_000) }]);
      await device.truncate(70_001);
      expect(device.size).toBe(70_001);
      await device.truncate(200_000);
      expect(device.size).toBe(200_000);
      expectSame(await readAt(device, 0, 70_001), noiseOf(2, 200_000).subarray(0, 70_001));
      expectSame(await readAt(device, 70_001, 129_999), new Uint8Array(129_999));
      await device.truncate(0);
      expect(device.size).toBe(0);
      await device.close?.();
    });

    it('refuses an invalid length', async () => {
      const device = await make();
      for (const size of [-1, 0.5, Number.NaN]) {
        await expect(attempt(() => device.truncate(size))).rejects.toThrow(RangeError);
      }
      expect(device.size).toBe(0);
      await device.close?.();
    });

    it('keeps what was flushed', async () => {
      const device = await make();
      await device.write([{ at: 0, bytes: noiseOf(3, 5000) }]);
      await device.flush();
      await device.flush();
      expectSame(await readAt(device, 0, 5000), noiseOf(3, 5000));
      await device.close?.();
    });

    it('serves concurrent batches correctly', async () => {
      const device = await make();
      const work = Array.from({ length: 20 }, async (_, index) => {
        await device.write([{ at: index * 10_000, bytes: noiseOf(index, 10_000) }]);
        expectSame(await readAt(device, index * 10_000, 10_000), noiseOf(index, 10_000));
      });
      await Promise.all(work);
      expect(device.size).toBe(200_000);
      await device.close?.();
    });

    it('stops a read for a signal, with its reason', async () => {
      const device = await make();
      const reason = { mine: true };
      const read = attempt(() => device.read([{ at: 0, bytes: new Uint8Array(1) }], AbortSignal.abort(reason)));
      await expect(read).rejects.toBe(reason);
      await device.close?.();
    });

    it('can be closed twice, and not used afterwards', async () => {
      const device = await make();
      await device.write([{ at: 0, bytes: noiseOf(4, 100) }]);
      await device.close?.();
      await device.close?.();
      const bytes = new Uint8Array(1);
      for (const use of [
        () => device.read([{ at: 0, bytes }]),
        () => device.write([{ at: 0, bytes }]),
        () => device.truncate(0),
        () => device.flush(),
      ]) {
        await expect(attempt(use)).rejects.toMatchObject({ name: 'Qcow2Error', code: 'closed' });
      }
    });
  });
}
