/** Owns the stretch of a table that the medium does not have: one range, in whole sectors, that grows with each change. */

/** What the medium writes whole: a table is written in units of it. */
const SECTOR = 512;

/** The bytes from `start` to `end` of a table; empty at first. */
export class DirtyRange {
  start = 0;
  end = 0;

  get empty(): boolean {
    return this.start === this.end;
  }

  /** Takes in the bytes from `from` to before `to`, and the rest of their sectors. */
  add(from: number, to: number): void {
    const start = from - (from % SECTOR);
    const end = Math.ceil(to / SECTOR) * SECTOR;
    this.start = this.empty ? start : Math.min(this.start, start);
    this.end = Math.max(this.end, end);
  }

  clear(): void {
    this.start = 0;
    this.end = 0;
  }
}
