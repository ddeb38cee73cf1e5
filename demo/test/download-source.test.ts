import type { WorkerImage } from 'qcow2-opfs';
import { describe, expect, it } from 'vitest';
import { snapshotOf } from '../src/download/download-source.js';

describe('the download of a snapshot', () => {
  const open = (): Promise<WorkerImage> => Promise.reject(new Error('nothing is opened for its name'));

  it('is named after image and snapshot, with characters that every system allows', () => {
    expect(snapshotOf(open, 512, 'before: 1/2', 'disk.qcow2').fileName).toBe('disk (before_ 1_2).raw');
    expect(snapshotOf(open, 512, 'first', 'disk').fileName).toBe('disk (first).raw');
  });
});
