import type { CheckReport, Finding } from 'qcow2';
import { describe, expect, it } from 'vitest';
import { clusterWords, listedWords, MAX_LISTED, verdict } from '../src/check/check-words.js';

const CLEAN: CheckReport = {
  corruptions: 0,
  leaks: 0,
  checkErrors: 0,
  extra: 0,
  imageEndOffset: 5 * 65_536,
  totalClusters: 1024,
  allocatedClusters: 4,
  fragmentedClusters: 1,
  compressedClusters: 0,
  findings: [],
};

describe('words about a check', () => {
  it('say that an image is clean, also with remarks', () => {
    expect(verdict(CLEAN)).toEqual(['The image is clean: every refcount is correct.']);
    expect(verdict({ ...CLEAN, extra: 2 })[1]).toContain('2 remarks');
  });

  it('describe the findings, one sentence for each kind, and do not call the image clean', () => {
    const words = verdict({ ...CLEAN, corruptions: 2, leaks: 1, checkErrors: 3 });
    expect(words.map((sentence) => sentence.split(/[:.]/)[0])).toEqual([
      '2 corruptions',
      '1 leak',
      '3 parts could not be checked',
    ]);
  });

  it('describe the allocation of the clusters', () => {
    expect(clusterWords(CLEAN)).toBe(
      '4 of 1,024 clusters allocated, 25% of them fragmented, 0% compressed; the last one in use ends at 320 KiB.',
    );
  });

  it('mention that the list is shortened', () => {
    const finding: Finding = { kind: 'leak', fault: 'refcount-high', what: 'cluster', at: 0, count: 1, message: '' };
    expect(listedWords({ ...CLEAN, findings: [finding] })).toBeNull();
    const many = Array.from({ length: MAX_LISTED + 1 }, () => finding);
    expect(listedWords({ ...CLEAN, findings: many })).toBe('The first 100 of 101 findings.');
  });
});
