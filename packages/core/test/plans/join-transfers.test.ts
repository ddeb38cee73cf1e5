/** The plan that joins transfers, as data: what is asked for together, what apart, and where the bytes go. */
import { describe, expect, it } from 'vitest';
import { type ByteSource, withCoalescing } from '../../src/index.js';
import { joinTransfers } from '../../src/sources/with-coalescing.js';
import { expectSame } from '../support/expect-same.js';
import { RecordingSource } from '../support/recording-source.js';

const transfer = (at: number, length: number) => ({ at, bytes: new Uint8Array(length).fill(0xee) });

/** The plan in figures: offset and length of each transfer, and of each of its parts the distance and the length. */
function plan(transfers: readonly [number, number][], { size = 10_000, gap = 10, longest = 1000 } = {}) {
  const asked = transfers.map(([at, length]) => transfer(at, length));
  return joinTransfers(asked, size, gap, longest).map(({ at, length, parts }) => [
    [at, length],
    ...parts.map(({ from, bytes }) => [from, bytes.length]),
  ]);
}

describe('joinTransfers', () => {
  it.each<[string, [number, number][], number[][][]]>([
    ['nothing', [], []],
    [
      'one',
      [[5, 10]],
      [
        [
          [5, 10],
          [0, 10],
        ],
      ],
    ],
    [
      'adjacent transfers, in any order',
      [
        [20, 10],
        [0, 10],
        [10, 10],
      ],
      [
        [
          [0, 30],
          [0, 10],
          [10, 10],
          [20, 10],
        ],
      ],
    ],
    [
      'a gap that is small enough',
      [
        [0, 10],
        [20, 10],
      ],
      [
        [
          [0, 30],
          [0, 10],
          [20, 10],
        ],
      ],
    ],
    [
      'a gap that is not',
      [
        [0, 10],
        [21, 10],
      ],
      [
        [
          [0, 10],
          [0, 10],
        ],
        [
          [21, 10],
          [0, 10],
        ],
      ],
    ],
    [
      'overlapping transfers',
      [
        [0, 30],
        [10, 5],
        [25, 20],
      ],
      [
        [
          [0, 45],
          [0, 30],
          [10, 5],
          [25, 20],
        ],
      ],
    ],
    [
      'up to the maximum length',
      [
        [0, 600],
        [600, 400],
        [1000, 1],
      ],
      [
        [
          [0, 1000],
          [0, 600],
          [600, 400],
        ],
        [
          [1000, 1],
          [0, 1],
        ],
      ],
    ],
    [
      'longer transfers, which are split',
      [[0, 2500]],
      [
        [
          [0, 1000],
          [0, 1000],
        ],
        [
          [1000, 1000],
          [0, 1000],
        ],
        [
          [2000, 500],
          [0, 500],
        ],
      ],
    ],
    [
      'empty transfers, and those past the end',
      [
        [50, 0],
        [10_000, 5],
        [9_995, 50],
      ],
      [
        [
          [9_995, 5],
          [0, 5],
        ],
      ],
    ],
  ])('%s', (_, transfers, expected) => {
    expect(plan(transfers)).toEqual(expected);
  });

  it('fills bytes past the end with zeros', () => {
    const past = transfer(95, 10);
    joinTransfers([past], 100, 0, 1000);
    expect([...past.bytes]).toEqual([...new Array(5).fill(0xee), ...new Array(5).fill(0)]);
  });
});

describe('withCoalescing', () => {
  const bytes = Uint8Array.from({ length: 10_000 }, (_, index) => (index * 7 + (index >> 12)) & 0xff);

  it('makes one call of a batch, and fills each buffer with its bytes', async () => {
    const inner = new RecordingSource(bytes);
    const batch = [900, 0, 100, 210, 95].map((at) => transfer(at, 10));
    await withCoalescing(inner, { gap: 100, longest: 300 }).read(batch);
    for (const { at, bytes: into } of batch) expectSame(into, bytes.subarray(at, at + 10));
    expect(inner.calls).toEqual([
      [
        { at: 0, length: 220 },
        { at: 900, length: 10 },
      ],
    ]);
  });

  it('allocates no memory for single transfers, and 36 MiB at a time for joined ones', async () => {
    const inner = new RecordingSource(bytes);
    const lone = transfer(5, 5000);
    let given: Uint8Array | null = null;
    const watched: ByteSource = {
      size: inner.size,
      read(transfers, signal) {
        given ??= transfers[0]!.bytes;
        return inner.read(transfers, signal);
      },
    };
    await withCoalescing(watched).read([lone]);
    expect(given!.buffer).toBe(lone.bytes.buffer);
    const large = new RecordingSource(bytes, { size: 100 * 1024 * 1024 });
    await withCoalescing(large).read(Array.from({ length: 1600 }, (_, step) => transfer(step * 65_536, 60_000)));
    const sums = large.calls.map((call) => call.reduce((sum, { length }) => sum + length, 0));
    expect(sums).toHaveLength(3);
    expect(Math.max(...sums)).toBeLessThanOrEqual(36 * 1024 * 1024);
  });

  it('refuses options that are not numbers of bytes', () => {
    for (const options of [{ gap: -1 }, { gap: 0.5 }, { longest: 0 }]) {
      expect(() => withCoalescing(new RecordingSource(bytes), options)).toThrow(RangeError);
    }
  });
});
