/** Nothing that was in memory of a host offset is taken for what a compaction puts there. */
import { describe, expect, it } from 'vitest';
import { QemuFolder } from '../support/qemu.js';
import { clustersUsedAgain } from './reused.js';
import { snapshotOpenedMeanwhile, streamInPlaceOfAnother, tableInPlaceOfAnother } from './stale-caches.js';

const folder = new QemuFolder('stale-caches');

describe('after a compaction', () => {
  it('a stream is read that moved to where another one was', streamInPlaceOfAnother);

  it('a table is read that moved to where another one was', tableInPlaceOfAnother);

  it('clusters are as they must be that were used again meanwhile', async () => {
    let slices = 0;
    while (await clustersUsedAgain(slices)) slices++;
    expect(slices).toBeGreaterThan(5);
  });

  it('a snapshot is read that was opened meanwhile', () => snapshotOpenedMeanwhile(folder));
});
