/** Describes the findings of a check in words. */
import type { CheckReport, Finding } from 'qcow2';
import { formatCount, formatNumberOf, formatShare, formatSize } from '../engine/size.js';

/** Most findings listed. A damaged image can have thousands, and the first ones show the cause. */
export const MAX_LISTED = 100;

/** The label of each kind of finding. */
export const FINDING_WORDS: Readonly<Record<Finding['kind'], string>> = {
  corruption: 'Corruption',
  leak: 'Leak',
  'check-error': 'Not checked',
  extra: 'Remark',
};

/** The result of a check, a sentence for each kind of finding. */
export function verdict({ corruptions, leaks, checkErrors, extra }: CheckReport): string[] {
  const sentences: string[] = [];
  if (corruptions > 0) {
    const count = formatNumberOf(corruptions, 'corruption');
    sentences.push(`${count}: the tables contradict each other, and what the guest reads may be wrong.`);
  }
  if (leaks > 0) sentences.push(`${formatNumberOf(leaks, 'leak')}: space in the file that is not used.`);
  if (checkErrors > 0) sentences.push(`${formatNumberOf(checkErrors, 'part')} could not be checked.`);
  if (corruptions + leaks + checkErrors === 0) {
    sentences.push('The image is clean: every refcount is correct.');
  }
  if (extra > 0) sentences.push(`${formatNumberOf(extra, 'remark')} on things that qemu-img check does not check.`);
  return sentences;
}

/** How the disk's clusters are stored in the file. */
export function clusterWords(report: CheckReport): string {
  const { allocatedClusters, totalClusters, fragmentedClusters, compressedClusters, imageEndOffset } = report;
  const allocated = `${formatCount(allocatedClusters)} of ${formatNumberOf(totalClusters, 'cluster')} allocated`;
  const fragmented = `${formatShare(fragmentedClusters, allocatedClusters)} of them fragmented`;
  const compressed = `${formatShare(compressedClusters, allocatedClusters)} compressed`;
  return `${allocated}, ${fragmented}, ${compressed}; the last one in use ends at ${formatSize(imageEndOffset)}.`;
}

/** Which of the findings are listed; null if all are. */
export function listedWords({ findings }: CheckReport): string | null {
  if (findings.length <= MAX_LISTED) return null;
  return `The first ${MAX_LISTED} of ${formatCount(findings.length)} findings.`;
}
