/** Describes the result of a check in words. */
import type { CheckReport, Finding, FindingPlace, Impact } from 'qcow2';
import { formatCount, formatNumberOf, formatOffset, formatShare, formatSize } from '../engine/size.js';

/** Most places and most ranges of a finding that are shown. */
const MAX_SHOWN = 3;

/** The label of each impact. */
export const IMPACT_WORDS: Readonly<Record<Impact, string>> = {
  'data-missing': 'Data missing',
  'data-doubtful': 'Data doubtful',
  bookkeeping: 'Bookkeeping',
  'wasted-space': 'Wasted space',
};

/** The result of a check: a sentence for each impact, the worst first. */
export function verdict({ findings }: CheckReport, clusterSize: number): string[] {
  const sentences: string[] = [];
  const of = (impact: Impact) => findings.filter((finding) => finding.impact === impact);
  const missing = of('data-missing');
  const doubtful = of('data-doubtful');
  const wasted = of('wasted-space');
  if (missing.length > 0) sentences.push(missingWords(missing));
  if (doubtful.length > 0) sentences.push(doubtfulWords(doubtful));
  if (of('bookkeeping').length > 0) {
    const reads = sentences.length === 0 ? 'Your data reads fine. ' : '';
    sentences.push(`${reads}Do not run a machine on it before it is repaired.`);
  }
  if (wasted.length > 0) sentences.push(`${formatSize(countOf(wasted) * clusterSize)} are wasted. Harmless.`);
  return sentences.length === 0 ? ['No problems found.'] : sentences;
}

function missingWords(findings: readonly Finding[]): string {
  const ranges = findings.flatMap(({ guest }) => guest);
  const bytes = ranges.reduce((sum, { length }) => sum + length, 0);
  return `${bytes === 0 ? 'Some' : formatSize(bytes)} of your data are not in this file. Look for another copy.`;
}

function doubtfulWords(findings: readonly Finding[]): string {
  const ranges = findings.reduce((sum, { guest }) => sum + guest.length, 0);
  return `${ranges === 0 ? 'Some areas' : formatNumberOf(ranges, 'area')} of the disk may hold wrong data.`;
}

function countOf(findings: readonly Finding[]): number {
  return findings.reduce((sum, { count }) => sum + count, 0);
}

/** The figures of the check, those of `qemu-img check` first. */
export function figureWords({ corruptions, leaks, checkErrors, extra }: CheckReport): string {
  const figures = [
    formatNumberOf(corruptions, 'corruption'),
    formatNumberOf(leaks, 'leak'),
    formatNumberOf(checkErrors, 'error'),
  ].join(', ');
  const more = extra === 0 ? '' : ` It does not look for ${formatNumberOf(extra, 'more fault')} that are listed here.`;
  return `As qemu-img check counts: ${figures}.${more}`;
}

/** How the disk's clusters are stored in the file. */
export function clusterWords(report: CheckReport): string {
  const { allocatedClusters, totalClusters, fragmentedClusters, compressedClusters, imageEndOffset } = report;
  const allocated = `${formatCount(allocatedClusters)} of ${formatNumberOf(totalClusters, 'cluster')} allocated`;
  const fragmented = `${formatShare(fragmentedClusters, allocatedClusters)} of them fragmented`;
  const compressed = `${formatShare(compressedClusters, allocatedClusters)} compressed`;
  return `${allocated}, ${fragmented}, ${compressed}; the last one in use ends at ${formatSize(imageEndOffset)}.`;
}

/** The first places of a finding, a line each. */
export function placeLines({ places }: Finding): string[] {
  const shown = places.slice(0, MAX_SHOWN);
  const lines = shown.map((place) => `${place.what} at ${formatOffset(place.at)}: ${place.message}${usedBy(place)}`);
  return places.length > shown.length ? [...lines, 'And others.'] : lines;
}

function usedBy({ references = [] }: FindingPlace): string {
  if (references.length === 0) return '';
  const users = references.slice(0, MAX_SHOWN).map(({ what, at }) => `${what} (${formatOffset(at)})`);
  return ` Used by ${users.join(', ')}${references.length > MAX_SHOWN ? ' and others' : ''}.`;
}

/** The first ranges of the disk that a finding concerns, a line each. */
export function rangeLines({ guest }: Finding): string[] {
  const lines = guest
    .slice(0, MAX_SHOWN)
    .map(({ start, length }) => `${formatOffset(start)} to ${formatOffset(start + length)} (${formatSize(length)})`);
  const more = guest.length - lines.length;
  return more > 0 ? [...lines, `And ${formatNumberOf(more, 'other')}.`] : lines;
}
