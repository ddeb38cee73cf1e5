/** Measures the speed of a running operation and estimates its remaining time. */

/** Half-life of a measurement's weight, milliseconds. */
const HALF_LIFE = 2000;

/** A smoothed speed, computed from bytes done and times. */
export class Pace {
  #at: number;
  #done = 0;
  #speed: number | null = null;

  /** Starts measuring at `now`, in milliseconds. */
  constructor(now: number) {
    this.#at = now;
  }

  /** Records that `done` bytes were done at `now`, in milliseconds. */
  update(done: number, now: number): void {
    const elapsed = now - this.#at;
    if (elapsed <= 0) return;
    const current = ((done - this.#done) / elapsed) * 1000;
    const weight = this.#speed === null ? 1 : 1 - 0.5 ** (elapsed / HALF_LIFE);
    this.#speed = (this.#speed ?? 0) * (1 - weight) + current * weight;
    this.#at = now;
    this.#done = done;
  }

  /** Bytes per second; null before the first measurement. */
  get speed(): number | null {
    return this.#speed;
  }

  /** Seconds until `total` bytes are done; null while that is unknown. */
  secondsLeft(total: number): number | null {
    if (this.#speed === null || this.#speed <= 0) return null;
    return Math.max(0, total - this.#done) / this.#speed;
  }
}

/** A duration in words, at a useful precision: `12 seconds`, `1 hour 5 minutes`. */
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
