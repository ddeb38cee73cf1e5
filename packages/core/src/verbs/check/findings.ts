/** Owns what a check has found so far: the figures, and the findings with their places. */
import type { Fault, Finding } from '../../api/check-report.js';

/** How many findings are kept; the figures go on counting. */
const MOST = 65_536;

/** Where something was found. */
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
  beyond = 0;
  readonly list: Finding[] = [];

  /** Takes note of a finding; `message` is made only when it is kept. */
  add(kind: Finding['kind'], fault: Fault, { what, at }: Place, message: () => string, count = 1): void {
    if (kind === 'corruption') this.corruptions += count;
    else if (kind === 'leak') this.leaks += count;
    else if (kind === 'check-error') this.checkErrors += count;
    else this.beyond += count;
    if (this.list.length < MOST) this.list.push({ kind, fault, what, at, count, message: message() });
  }
}
