/** Collects the results of a check: the figures, and the findings with their places. */
import type { Fault, Finding } from '../../api/check-report.js';

/** The most findings in the list; the figures count all. */
const MOST = 65_536;

/** The place of a finding. */
export interface Place {
  readonly what: string;
  /** Offset in the image file, bytes. */
  readonly at: number;
}

/** The findings of one check. */
export class Findings {
  corruptions = 0;
  leaks = 0;
  checkErrors = 0;
  extra = 0;
  readonly list: Finding[] = [];

  /** Adds a finding; `message` is called only when the finding goes into the list. */
  add(kind: Finding['kind'], fault: Fault, { what, at }: Place, message: () => string, count = 1): void {
    if (kind === 'corruption') this.corruptions += count;
    else if (kind === 'leak') this.leaks += count;
    else if (kind === 'check-error') this.checkErrors += count;
    else this.extra += count;
    if (this.list.length < MOST) this.list.push({ kind, fault, what, at, count, message: message() });
  }
}
