/** Collects byte ranges of a file compactly: 16 bytes each, merged. */

/** Ranges for which there is room at first. */
const INITIAL = 1024;

/** Consecutive bytes, from `start` to before `end`. */
export interface ByteRun {
  readonly start: number;
  readonly end: number;
}

/** A set of bytes of a file. The same range may be added any number of times; memory depends on the runs it forms. */
export class RangeSet {
  #starts = new Float64Array(INITIAL);
  #ends = new Float64Array(INITIAL);
  #count = 0;
  readonly #left: ByteRun[] = [];

  /** Adds the bytes from `start` to before `end`. */
  add(start: number, end: number): void {
    if (end <= start) return;
    const last = this.#count - 1;
    if (last >= 0 && start >= this.#starts[last]! && start <= this.#ends[last]!) {
      this.#ends[last] = Math.max(end, this.#ends[last]!);
      return;
    }
    if (this.#count === this.#starts.length) this.#makeRoom();
    this.#starts[this.#count] = start;
    this.#ends[this.#count] = end;
    this.#count++;
  }

  /** Leaves bytes out of the set, whether they were added or will be. */
  leaveOut(start: number, end: number): void {
    if (end > start) this.#left.push({ start, end });
  }

  /** The runs of the set, in order. Neither overlap nor touch, but for those beside bytes that are left out. */
  *runs(): Generator<ByteRun, void, undefined> {
    this.#merge();
    for (let index = 0; index < this.#count; index++) {
      let runs: ByteRun[] = [{ start: this.#starts[index]!, end: this.#ends[index]! }];
      for (const left of this.#left) runs = runs.flatMap((run) => without(run, left));
      yield* runs;
    }
  }

  /** The bytes in the set. */
  get total(): number {
    let total = 0;
    for (const { start, end } of this.runs()) total += end - start;
    return total;
  }

  #makeRoom(): void {
    this.#merge();
    const { length } = this.#starts;
    if (this.#count <= length / 2) return;
    this.#starts = grown(this.#starts, length * 2);
    this.#ends = grown(this.#ends, length * 2);
  }

  /**
   * Sorts and merges. Starts and ends are sorted apart from each other: a run ends where as many ranges have ended as
   * have begun.
   */
  #merge(): void {
    const count = this.#count;
    const starts = this.#starts.subarray(0, count).sort();
    const ends = this.#ends.subarray(0, count).sort();
    let runs = 0;
    for (let from = 0; from < count; runs++) {
      let to = from;
      while (to + 1 < count && starts[to + 1]! <= ends[to]!) to++;
      starts[runs] = starts[from]!;
      ends[runs] = ends[to]!;
      from = to + 1;
    }
    this.#count = runs;
  }
}

function grown(numbers: Float64Array, length: number): Float64Array<ArrayBuffer> {
  const copy = new Float64Array(length);
  copy.set(numbers);
  return copy;
}

function without({ start, end }: ByteRun, left: ByteRun): ByteRun[] {
  if (left.start >= end || left.end <= start) return [{ start, end }];
  const before = { start, end: left.start };
  const after = { start: left.end, end };
  return [before, after].filter((run) => run.end > run.start);
}
