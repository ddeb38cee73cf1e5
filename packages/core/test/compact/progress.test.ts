/** The progress of a compaction: the bytes that move, of all that have to. */
import { describe, expect, it } from 'vitest';
import { bufferDevice, type Progress, Qcow2Image } from '../../src/index.js';
import { noiseOf } from '../support/numbers.js';

const SIZE = 4 * 2 ** 20;

/** A disk of noise, and what a compaction reports after these bytes were discarded. */
async function compacted(clusterSize: number, discarded: readonly (readonly [number, number])[]) {
  const image = await Qcow2Image.create(bufferDevice(), { size: SIZE, clusterSize });
  await image.write(0, noiseOf(1, SIZE));
  for (const [at, length] of discarded) await image.discard(at, length);
  const reports: Progress[] = [];
  const report = await image.compact({ onProgress: (progress) => reports.push(progress) });
  await image.close();
  return { ...report, reports };
}

describe('progress of a compaction', () => {
  it.each([512, 4096, 65_536])('counts all clusters of %d bytes that move', async (clusterSize) => {
    const { copied, reports } = await compacted(clusterSize, [[0, SIZE / 2]]);
    const total = reports[0]!.total;
    // Refcount blocks that are not needed any more are removed instead.
    expect(total).toBeGreaterThanOrEqual(SIZE / 2 - 16 * clusterSize);
    expect(total).toBeLessThanOrEqual(copied * clusterSize * 1.02 + clusterSize);
    expect(reports.every((report) => report.total === total)).toBe(true);
    expect(reports.at(-1)).toMatchObject({ phase: 'compact', done: total });
  });

  it('is reported when only the end of the file is cut', async () => {
    const { copied, reports, oldSize, newSize } = await compacted(4096, [[SIZE / 2, SIZE / 2]]);
    expect(newSize).toBeLessThan(oldSize);
    expect(reports.length).toBeGreaterThan(0);
    if (copied === 0) expect(reports).toEqual([{ phase: 'compact', done: 0, total: 0 }]);
  });
});
