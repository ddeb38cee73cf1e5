/** Owns the tests of the source over a Blob: what it fetches, what it keeps, what it says when the file is gone. */
import { describe, expect, it } from 'vitest';
import { blobSource } from '../../src/index.js';
import { expectSame } from '../support/expect-same.js';

const MIB = 1024 * 1024;

/** A Blob that writes down the slices taken of it. */
class CountingBlob extends Blob {
  readonly slices: { start: number; length: number }[] = [];

  override slice(start = 0, end = this.size): Blob {
    this.slices.push({ start, length: end - start });
    return super.slice(start, end);
  }
}

const bytes = Uint8Array.from({ length: 9 * MIB + 123 }, (_, index) => (index * 7 + (index >> 12)) & 0xff);

/** Runs the suite in the current runtime. */
export function blobSuite(): void {
  describe('blobSource', () => {
    it('reads anywhere, with zeros past the end', async () => {
      const source = blobSource(new Blob([bytes]));
      expect(source.size).toBe(bytes.length);
      for (const [at, length] of [
        [0, 10],
        [MIB - 5, 10],
        [3 * MIB + 1, 5 * MIB],
        [bytes.length - 7, 100],
        [bytes.length + 5, 100],
      ] as const) {
        const into = new Uint8Array(length).fill(0xee);
        await source.read([{ at, bytes: into }]);
        const expected = new Uint8Array(length);
        expected.set(bytes.subarray(at, at + length));
        expectSame(into, expected);
      }
    });

    it('serves sequential small reads from slices that double up to a mebibyte, also concurrent ones', async () => {
      const blob = new CountingBlob([bytes]);
      const source = blobSource(blob);
      const reads = Array.from({ length: 200 }, async (_, index) => {
        const into = new Uint8Array(100);
        await source.read([{ at: MIB + index * 20_000, bytes: into }]);
        expectSame(into, bytes.subarray(MIB + index * 20_000, MIB + index * 20_000 + 100));
      });
      await Promise.all(reads);
      const lengths = blob.slices.map(({ length }) => length / (64 * 1024));
      expect(lengths).toEqual([1, 2, 4, 8, 16, 16, 16]);
      expect(blob.slices[0]!.start).toBe(MIB);
    });

    it('fetches one block for a small random read', async () => {
      const blob = new CountingBlob([bytes]);
      const source = blobSource(blob);
      for (const at of [5 * MIB, 100, 7 * MIB, 3 * MIB]) await source.read([{ at, bytes: new Uint8Array(4096) }]);
      expect(blob.slices.map(({ length }) => length)).toEqual([65_536, 65_536, 65_536, 65_536]);
    });

    it('caches blocks, and evicts the least recently used ones', async () => {
      const blob = new CountingBlob([new Uint8Array(40 * MIB)]);
      const source = blobSource(blob);
      const touch = (at: number) => source.read([{ at, bytes: new Uint8Array(10) }]);
      await touch(0);
      await touch(0);
      expect(blob.slices).toHaveLength(1);
      for (let at = 39 * MIB; at > 2 * MIB; at -= 128 * 1024) await touch(at);
      const before = blob.slices.length;
      await touch(0);
      expect(blob.slices).toHaveLength(before + 1);
    });

    it('joins adjacent transfers of a batch, in any order, into few large slices', async () => {
      const blob = new CountingBlob([bytes]);
      const parts = [3, 0, 2, 1].map((part) => ({ at: 100 + part * 2 * MIB, bytes: new Uint8Array(2 * MIB) }));
      await blobSource(blob).read(parts);
      expect(blob.slices).toEqual([
        { start: 100, length: 4 * MIB },
        { start: 100 + 4 * MIB, length: 4 * MIB },
      ]);
      for (const part of parts) expectSame(part.bytes, bytes.subarray(part.at, part.at + 2 * MIB));
    });

    it('fetches a large read directly, and a sequential one with read-ahead', async () => {
      const blob = new CountingBlob([bytes]);
      const source = blobSource(blob);
      const into = new Uint8Array(64 * 1024);
      for (let at = into.length; at < MIB; at += into.length) await source.read([{ at, bytes: into }]);
      expect(blob.slices).toEqual([
        { start: 64 * 1024, length: 64 * 1024 },
        ...[1, 2, 4, 8].map((blocks) => ({ start: 64 * 1024 * (blocks + 1), length: 64 * 1024 * blocks })),
      ]);
    });

    it('caches the first block, which opening reads', async () => {
      const blob = new CountingBlob([bytes]);
      const source = blobSource(blob);
      await source.read([{ at: 0, bytes: new Uint8Array(64 * 1024) }]);
      await source.read([{ at: 4096, bytes: new Uint8Array(512) }]);
      expect(blob.slices).toEqual([{ start: 0, length: 64 * 1024 }]);
    });

    describe('of short ranges that lie apart', () => {
      const parts = () =>
        Array.from({ length: 20 }, (_, index) => ({ at: 200_000 + index * 400_000, bytes: new Uint8Array(70_000) }));
      const expectRead = ({ at, bytes: into }: { at: number; bytes: Uint8Array }) =>
        expectSame(into, bytes.subarray(at, at + into.length));

      it('takes one slice each, in any order', async () => {
        const blob = new CountingBlob([bytes]);
        const batch = parts();
        await blobSource(blob).read(batch.toReversed());
        expect(blob.slices).toEqual(batch.map(({ at }) => ({ start: at, length: 70_000 })));
        batch.forEach(expectRead);
      });

      it('reads what is no Blob of the platform', async () => {
        const foreign = {
          size: bytes.length,
          arrayBuffer: () => new Blob([bytes]).arrayBuffer(),
          slice: (start: number, end: number) => ({
            arrayBuffer: () => new Blob([bytes]).slice(start, end).arrayBuffer(),
          }),
        };
        const source = blobSource(foreign as unknown as Blob);
        for (let time = 0; time < 2; time++) {
          const batch = parts();
          await source.read(batch);
          batch.forEach(expectRead);
        }
      });

      it('names the one that cannot be read, and fills the others', async () => {
        const blob = new CountingBlob([bytes]);
        const batch = parts();
        const bad = batch[13]!;
        const slice = blob.slice.bind(blob);
        blob.slice = (start, end) => {
          const failing = { arrayBuffer: () => Promise.reject(new DOMException('gone', 'NotReadableError')) };
          return start === bad.at ? (failing as unknown as Blob) : slice(start, end);
        };
        await expect(blobSource(blob).read(batch)).rejects.toMatchObject({ code: 'changed', details: { at: bad.at } });
        batch.filter((part) => part !== bad).forEach(expectRead);
      });

      it('rejects with the reason of a signal', async () => {
        const blob = new CountingBlob([bytes]);
        const abort = new AbortController();
        const reason = new Error('enough');
        const source = blobSource(blob);
        const read = source.read(parts(), abort.signal);
        abort.abort(reason);
        await expect(read).rejects.toBe(reason);
        const batch = parts();
        await source.read(batch);
        batch.forEach(expectRead);
      });
    });

    it('rejects with the reason of a signal, and with closed after close', async () => {
      const source = blobSource(new Blob([bytes]));
      const reason = new Error('enough');
      const read = source.read([{ at: 0, bytes: new Uint8Array(10) }], AbortSignal.abort(reason));
      await expect(read).rejects.toBe(reason);
      await source.close?.();
      await source.close?.();
      await expect(source.read([{ at: 0, bytes: new Uint8Array(1) }])).rejects.toMatchObject({ code: 'closed' });
    });

    it.each([
      ['changed', 'NotReadableError'],
      ['deleted, in Chromium', 'NotFoundError'],
      ['deleted, in Firefox', 'AbortError'],
    ])('reports that a file was %s, and retries at the next read', async (_, name) => {
      const blob = new CountingBlob([bytes]);
      let gone = true;
      const slice = blob.slice.bind(blob);
      blob.slice = (start, end) => {
        // What a browser gives for a chosen file that is no longer what it was.
        const failing = { arrayBuffer: () => Promise.reject(new DOMException('gone', name)) };
        return gone ? (failing as unknown as Blob) : slice(start, end);
      };
      const source = blobSource(blob);
      const into = new Uint8Array(10);
      await expect(source.read([{ at: 5, bytes: into }])).rejects.toMatchObject({
        name: 'Qcow2Error',
        code: 'changed',
      });
      gone = false;
      await source.read([{ at: 5, bytes: into }]);
      expectSame(into, bytes.subarray(5, 15));
    });
  });
}
