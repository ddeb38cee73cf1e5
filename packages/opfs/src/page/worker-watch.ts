/** Detects a dead worker: by a Web Lock that it holds, and by its messages during a call. */
import { holdLock } from '../protocol/web-lock.js';

/** Interval of pings while a call is pending. Milliseconds. */
const PING_EVERY_MS = 5000;
/**
 * Number of pings without any message after which a worker counts as dead: 30 s. No work in it delays its messages that
 * long. The longest is a flush of at most 64 MiB (`OpfsDevice`), which takes 30 s on a medium that stores 2 MB/s; one
 * message reads or writes half as much (`message-plan.ts`). Pings are counted instead of time: a suspended page, or one
 * with throttled timers, counts fewer. A worker paused in a debugger is silent, too.
 */
const MAX_MISSED_PINGS = 6;

/** The callbacks of a watch. */
export interface Watched {
  /** Whether any call is pending. */
  waiting(): boolean;
  /** Sends a message that the worker responds to as soon as it handles messages. */
  ping(): void;
  /** Called once, when the worker is dead. `silent`: it may run, but does not handle its messages. */
  died(how: 'ended' | 'silent'): void;
}

/** Watches one worker, from its first response on. */
export class WorkerWatch {
  readonly #watched: Watched;
  readonly #pingEvery: number;
  readonly #lockWait = new AbortController();
  #state: 'new' | 'watching' | 'over' = 'new';
  #timer: ReturnType<typeof setInterval> | null = null;
  #missedPings = 0;

  /** @param pingEvery milliseconds */
  constructor(worker: Worker, watched: Watched, pingEvery: number = PING_EVERY_MS) {
    this.#watched = watched;
    this.#pingEvery = pingEvery;
    worker.addEventListener('message', () => {
      this.#missedPings = 0;
    });
  }

  /** Starts the watch, once the worker holds `lock`. No other page or worker requests that lock. */
  async begin(lock: string): Promise<void> {
    const { held = [] } = await navigator.locks.query();
    if (this.#state === 'over') return;
    this.#state = 'watching';
    this.expectResponse();
    // After the site's data were cleared, Chromium gives workers that start later other locks than the page. The page
    // would get this lock immediately, and treat a live worker as dead.
    if (!held.some(({ name }) => name === lock)) return;
    // A dead worker does not close its message channel. Its lock is released, and this request is granted.
    holdLock(lock, { signal: this.#lockWait.signal }).then(
      (release) => {
        release();
        this.#die('ended');
      },
      // Only `end` aborts the wait.
      () => {},
    );
  }

  /** Called when a call becomes pending. */
  expectResponse(): void {
    if (this.#timer !== null || this.#state !== 'watching') return;
    this.#missedPings = 0;
    this.#timer = setInterval(() => this.#tick(), this.#pingEvery);
  }

  /** Ends the watch. */
  end(): void {
    this.#state = 'over';
    this.#lockWait.abort();
    this.#stopPings();
  }

  #tick(): void {
    if (!this.#watched.waiting()) this.#stopPings();
    else if (this.#missedPings >= MAX_MISSED_PINGS) this.#die('silent');
    else {
      this.#missedPings++;
      this.#watched.ping();
    }
  }

  #stopPings(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #die(how: 'ended' | 'silent'): void {
    if (this.#state === 'over') return;
    this.end();
    this.#watched.died(how);
  }
}
