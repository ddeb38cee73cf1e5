/** Collects the ranges that could not be read, joins neighbours, and reports them in order. */

import type { LostRange, Range } from '../../api/range.js';
import { isQcow2Error, type Qcow2ErrorOf } from '../../errors.js';

/** The error of a lost range. */
export type LossError = Qcow2ErrorOf<'corrupt' | 'io'>;

/** True if an error means that bytes are lost. After any other error an operation cannot go on. */
export function isLoss(error: unknown): error is LossError {
  return isQcow2Error(error, 'corrupt', 'io');
}

/** The range and its error as a {@link LostRange}. */
export function lostRange({ start, length }: Range, { code, message, details }: LossError): LostRange {
  // 'L2 table 7' is an 'L2 table'.
  const what = details.what?.replace(/ \d+$/, '');
  const { layer } = details;
  const place = { ...(what !== undefined && { what }), ...(layer !== undefined && { layer }) };
  return { start, length, code, message, ...place };
}

/** The lost ranges of one operation. They are found in any order, and reported in ascending order. */
export class LostRanges {
  readonly #report: (lost: LostRange) => void;
  /** Not reported yet, and sorted only where `#sorted` says so. */
  #found: LostRange[] = [];
  #sorted = true;
  /** The last settled range, which the next one may continue. */
  #pending: LostRange | null = null;

  /** Ranges are passed to `report`, if there is one. */
  constructor(report: ((lost: LostRange) => void) | undefined) {
    this.#report = report ?? (() => {});
  }

  /** Adds a lost range that does not overlap the others. */
  readonly add = (lost: LostRange): void => {
    const last = this.#found.at(-1);
    // Most are found in order, and there may be millions of neighbours.
    if (last !== undefined && continues(last, lost)) this.#found[this.#found.length - 1] = joined(last, lost);
    else {
      this.#found.push(lost);
      this.#sorted = false;
    }
  };

  /** Reports the ranges that end before `until`, up to which all lost ranges are known. */
  settle(until: number): void {
    if (!this.#sorted) this.#found.sort((a, b) => a.start - b.start);
    this.#sorted = true;
    let count = 0;
    while (count < this.#found.length && this.#found[count]!.start < until) this.#queue(this.#found[count++]!);
    if (count > 0) this.#found = this.#found.slice(count);
    if (this.#pending !== null && endOf(this.#pending) < until) this.#reportPending();
  }

  /** Reports the ranges that are left. */
  end(): void {
    this.settle(Number.POSITIVE_INFINITY);
  }

  /** Joins the next range in order to the pending one, or reports that one and keeps the next. */
  #queue(next: LostRange): void {
    const pending = this.#pending;
    if (pending !== null && continues(pending, next)) {
      this.#pending = joined(pending, next);
      return;
    }
    this.#reportPending();
    this.#pending = next;
  }

  #reportPending(): void {
    const pending = this.#pending;
    this.#pending = null;
    if (pending !== null) this.#report(pending);
  }
}

function endOf({ start, length }: Range): number {
  return start + length;
}

/** Both ranges as one, with the message of the first. */
function joined(first: LostRange, next: LostRange): LostRange {
  return { ...first, length: first.length + next.length };
}

/** True if the next range begins where the last one ends, and is lost for the same reason. */
function continues(last: LostRange, next: LostRange): boolean {
  return endOf(last) === next.start && last.code === next.code && last.what === next.what && last.layer === next.layer;
}
