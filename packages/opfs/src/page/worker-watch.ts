/** Tells whether a worker lives: by a Web Lock that it holds, and by what arrives from it while a call waits for it. */
import { holdLock } from '../protocol/web-lock.js';

/** How often a worker is pinged while a call waits for it. Milliseconds. */
const PING_EVERY_MS = 5000;
/**
 * After how many pings without any message a worker is given up: 30 s. Nothing that it does keeps it from its messages
 * that long. The longest is a flush, of at most 64 MiB (`OpfsDevice`), which takes 30 s on a medium that stores 2 MB/s;
 * one message reads or writes half as much (`message-plan.ts`). Counted, not measured: a page that is suspended, or
 * whose timers the browser slows down, counts fewer. A worker that is paused in a debugger is silent, too.
 */
const MAX_UNANSWERED = 6;

/** What the watch asks of its owner. */
export interface Watched {
  /** Whether any call waits for the worker. */
  waiting(): boolean;
  /** Sends a message that the worker answers as soon as it handles messages. */
  ping(): void;
  /** Called once, when the worker is dead. `silent`: it may run, but does not handle its messages. */
  died(how: 'ended' | 'silent'): void;
}

/** The watch over one worker, from its first answer on. */
export class WorkerWatch {
  readonly #watched: Watched;
  readonly #pingEvery: number;
  readonly #lockWait = new AbortController();
  #state: 'new' | 'watching' | 'over' = 'new';
  #timer: ReturnType<typeof setInterval> | null = null;
  #unanswered = 0;

  /** @param pingEvery milliseconds */
  constructor(worker: Worker, watched: Watched, pingEvery: number = PING_EVERY_MS) {
    this.#watched = watched;
    this.#pingEvery = pingEvery;
    worker.addEventListener('message', () => {
      this.#unanswered = 0;
    });
  }

  /** Begins, once the worker holds `lock`, which is requested by no other page or worker. */
  async begin(lock: string): Promise<void> {
    const { held = [] } = await navigator.locks.query();
    if (this.#state === 'over') return;
    this.#state = 'watching';
    this.expectAnswer();
    // When the data of this site were cleared, Chromium gives workers that start later other locks than the page has.
    // The page would get this one at once, and take a live worker for dead.
    if (!held.some(({ name }) => name === lock)) return;
    // A dead worker does not close its message channel. Its lock falls free, and this request is granted.
    holdLock(lock, { signal: this.#lockWait.signal }).then(
      (release) => {
        release();
        this.#die('ended');
      },
      // Only `end` aborts the wait.
      () => {},
    );
  }

  /** From now on a call waits for the worker. */
  expectAnswer(): void {
    if (this.#timer !== null || this.#state !== 'watching') return;
    this.#unanswered = 0;
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
    else if (this.#unanswered >= MAX_UNANSWERED) this.#die('silent');
    else {
      this.#unanswered++;
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
