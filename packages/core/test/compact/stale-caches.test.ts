/** Nothing that was in memory of a host offset is taken for what a compaction puts there. */
import { describe, it } from 'vitest';
import { QemuFolder } from '../support/qemu.js';
import { snapshotOpenedMeanwhile, streamInPlaceOfAnother } from './stale-caches.js';

const folder = new QemuFolder('stale-caches');

describe('after a compaction', () => {
  it('a stream is read that moved to where another one was', streamInPlaceOfAnother);

  it('a snapshot is read that was opened meanwhile', () => snapshotOpenedMeanwhile(folder));
});
