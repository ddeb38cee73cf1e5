import type { CheckReport, Finding } from 'qcow2';
import { describe, expect, it } from 'vitest';
import { clusterWords, figureWords, placeLines, rangeLines, verdict } from '../src/check/check-words.js';

const CLUSTER = 65_536;

const CLEAN: CheckReport = {
  corruptions: 0,
  leaks: 0,
  checkErrors: 0,
  extra: 0,
  imageEndOffset: 5 * CLUSTER,
  totalClusters: 1024,
  allocatedClusters: 4,
  fragmentedClusters: 1,
  compressedClusters: 0,
  findings: [],
};

const finding = (fields: Partial<Finding>): Finding => ({
  kind: 'corruption',
  fault: 'reserved-bits',
  impact: 'data-doubtful',
  count: 1,
  places: [{ what: 'L2 table 0, entry 1', at: 0x50008, message: 'It is wrong.' }],
  guest: [],
  ...fields,
});

const verdictOf = (...findings: Partial<Finding>[]) => verdict({ ...CLEAN, findings: findings.map(finding) }, CLUSTER);

describe('words about a check', () => {
  it('say that nothing was found', () => {
    expect(verdictOf()).toEqual(['No problems found.']);
  });

  it('say what each impact means for the person, with its amount', () => {
    const guest = [
      { start: 0, length: CLUSTER },
      { start: 2 * CLUSTER, length: CLUSTER },
    ];
    expect(verdictOf({ impact: 'data-missing', guest }, { impact: 'data-missing', guest: [] })).toEqual([
      '128 KiB of your data are not in this file. Look for another copy.',
    ]);
    expect(verdictOf({ guest })).toEqual(['2 areas of the disk may hold wrong data.']);
    expect(verdictOf({ impact: 'bookkeeping' })).toEqual([
      'Your data reads fine. Do not run a machine on it before it is repaired.',
    ]);
    expect(verdictOf({ kind: 'leak', impact: 'wasted-space', count: 40 })).toEqual(['2.5 MiB are wasted. Harmless.']);
  });

  it('never say that data reads fine beside worse, and name no amount that is not known', () => {
    expect(verdictOf({ impact: 'data-missing' }, {}, { impact: 'bookkeeping' })).toEqual([
      'Some of your data are not in this file. Look for another copy.',
      'Some areas of the disk may hold wrong data.',
      'Do not run a machine on it before it is repaired.',
    ]);
  });

  it('give the figures of qemu-img, and say what is beyond them', () => {
    expect(figureWords({ ...CLEAN, corruptions: 2, leaks: 1, checkErrors: 3 })).toBe(
      'As qemu-img check counts: 2 corruptions, 1 leak, 3 errors.',
    );
    expect(figureWords({ ...CLEAN, extra: 1 })).toContain('1 more fault ');
  });

  it('describe the allocation of the clusters', () => {
    expect(clusterWords(CLEAN)).toBe(
      '4 of 1,024 clusters allocated, 25% of them fragmented, 0% compressed; the last one in use ends at 320 KiB.',
    );
  });

  it('list the first places, with what uses the cluster', () => {
    const place = { what: 'cluster', at: 0x60000, message: 'The refcount is 1, and there are 2 references.' };
    const references = [
      { what: 'L2 table 0, entry 1', at: 0x50008 },
      { what: 'L1 entry 0', at: 0x30000 },
    ];
    expect(placeLines(finding({ places: [{ ...place, references }] }))).toEqual([
      `cluster at 0x60000: ${place.message} Used by L2 table 0, entry 1 (0x50008), L1 entry 0 (0x30000).`,
    ]);
    expect(placeLines(finding({ count: 4, places: [1, 2, 3, 4].map((at) => ({ ...place, at })) }))).toEqual([
      `cluster at 0x1: ${place.message}`,
      `cluster at 0x2: ${place.message}`,
      `cluster at 0x3: ${place.message}`,
      'And others.',
    ]);
    expect(placeLines(finding({ count: 9, places: [{ ...place, what: '9 clusters' }] }))).toHaveLength(1);
  });

  it('list the first ranges of the disk', () => {
    const guest = [0, 2, 4, 6, 8].map((index) => ({ start: index * CLUSTER, length: CLUSTER }));
    expect(rangeLines(finding({ guest }))).toEqual([
      '0x0 to 0x10000 (64 KiB)',
      '0x20000 to 0x30000 (64 KiB)',
      '0x40000 to 0x50000 (64 KiB)',
      'And 2 others.',
    ]);
  });
});
