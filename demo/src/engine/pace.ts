/** Owns how fast a running operation goes, and how long it will still take. */

/** How quickly an older measurement loses its weight, in milliseconds. */
const HALF_LIFE = 2000;

/** A smoothed speed, from how many bytes were done at which times. */
export class Pace {
  #at: number;
  #done = 0;
  #speed: number | null = null;

  /** Begins to measure at `now`, in milliseconds. */
  constructor(now: number) {
    this.#at = now;
  }

  /** Notes that `done` bytes were done at `now`, in milliseconds. */
  update(done: number, now: number): void {
    const elapsed = now - this.#at;
    if (elapsed <= 0) return;
    const current = ((done - this.#done) / elapsed) * 1000;
    const weight = this.#speed === null ? 1 : 1 - 0.5 ** (elapsed / HALF_LIFE);
    this.#speed = (this.#speed ?? 0) * (1 - weight) + current * weight;
    this.#at = now;
    this.#done = done;
  }

  /** Bytes a second; null until there was a measurement. */
  get speed(): number | null {
    return this.#speed;
  }

  /** Seconds until `total` bytes are done; null while nobody can say. */
  secondsLeft(total: number): number | null {
    if (this.#speed === null || this.#speed <= 0) return null;
    return Math.max(0, total - this.#done) / this.#speed;
  }
}

/** A time span in words, at the precision that a person waiting cares for: `12 seconds`, `1 hour 5 minutes`. */
export function formatDuration(seconds: number): string {
  if (seconds < 1) return 'less than a second';
  const whole = Math.ceil(seconds);
  if (whole < 60) return counted(whole, 'second');
  const minutes = Math.ceil(whole / 60);
  if (minutes < 60) return counted(minutes, 'minute');
  const hours = Math.floor(minutes / 60);
  const rest = minutes % 60;
  return rest === 0 ? counted(hours, 'hour') : `${counted(hours, 'hour')} ${counted(rest, 'minute')}`;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
