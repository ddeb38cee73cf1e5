/** Owns one worker on the page's side: starts it, calls it, notices its death, and ends it. */
import { proxy, type Remote, wrap } from 'comlink';
import { Qcow2Error } from 'qcow2';
import { onAbort } from 'qcow2/internal';
import type { Answer, WorkerSide } from '../protocol/messages.js';
import { fromWireError } from '../protocol/wire-error.js';
import { Callbacks, type CallCallbacks } from './callbacks.js';
import { WorkerWatch } from './worker-watch.js';

/** The worker as the page sees it. */
export type RemoteWorker = Remote<WorkerSide>;

/**
 * How long a worker may take to load and to answer for the first time: a slow network must not fail it. Milliseconds.
 */
const START_TIMEOUT_MS = 30_000;

/** How long a worker is waited for. Milliseconds; tests do not take the time that a person would. */
export interface ConnectionLimits {
  /** Until it answers for the first time. One that dies before does not report it, and holds no lock yet. */
  readonly startTimeout?: number | undefined;
  /** Between the pings of {@link WorkerWatch}. */
  readonly pingEvery?: number | undefined;
}

/** How a call behaves beside what it sends. */
export interface CallOptions extends CallCallbacks {
  readonly signal?: AbortSignal | undefined;
  /**
   * Reject at once on abort. Otherwise wait for the worker, which has something to clean up or still writes to shared
   * memory.
   */
  readonly prompt?: boolean;
  /**
   * The earlier call that opened what this one works on: aborts and callbacks are its. Without it the call stands
   * alone.
   */
  readonly within?: number;
  /** Keep the callbacks after the answer, until {@link Connection.forget}. */
  readonly lasting?: boolean;
}

/** A live worker and every call that waits for it. */
export class Connection {
  readonly #worker: Worker;
  readonly #remote: RemoteWorker;
  readonly #callbacks: Callbacks;
  readonly #pending = new Set<(error: unknown) => void>();
  readonly #watch: WorkerWatch;
  /** Resolves when the worker is known to be dead. */
  readonly #gone: Promise<void>;
  #onGone = (): void => {};
  /** Why nothing more can be called; null while the worker lives. */
  #ended: Qcow2Error | null = null;
  #closing: Promise<void> | null = null;
  #lastCall = 0;

  private constructor(worker: Worker, pingEvery: number | undefined) {
    this.#worker = worker;
    this.#remote = wrap<WorkerSide>(worker);
    this.#callbacks = new Callbacks((call) => this.#abort(call));
    this.#gone = new Promise((resolve) => {
      this.#onGone = resolve;
    });
    const waiting = (): boolean => this.#pending.size > 0 || this.#closing !== null;
    const ping = (): void => void this.#remote.ping().catch(() => {});
    this.#watch = new WorkerWatch(worker, { waiting, ping, died: (how) => this.#onDeath(how) }, pingEvery);
  }

  /**
   * Starts a worker and resolves when it answers.
   *
   * @throws {@link Qcow2Error} `failed` when the worker cannot be started, `unavailable` where the page is not a secure
   *   context
   */
  static async start(create: () => Worker, limits: ConnectionLimits = {}): Promise<Connection> {
    if (!globalThis.navigator?.locks) {
      throw new Qcow2Error(
        'unavailable',
        'Web Locks are missing: the page must be served over https or from localhost, in a browser of 2022 or later.',
      );
    }
    let worker: Worker;
    try {
      worker = create();
    } catch (cause) {
      throw new Qcow2Error('failed', `The worker could not be created: ${String(cause)}`, {}, { cause });
    }
    const connection = new Connection(worker, limits.pingEvery);
    await connection.#connect(limits.startTimeout ?? START_TIMEOUT_MS);
    return connection;
  }

  /** A number that no call has yet: what opens something lasting is called by it. */
  reserve(): number {
    return ++this.#lastCall;
  }

  /**
   * Calls the worker. Aborting rejects with the signal's own reason.
   *
   * @throws whatever the worker answered, rebuilt; {@link Qcow2Error} `failed` when the worker died, `closed` after
   *   `close`
   */
  call<T>(send: (worker: RemoteWorker, call: number) => Answer<T>, options: CallOptions = {}, id?: number): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#ended) return reject(this.#ended);
      const { signal } = options;
      if (signal?.aborted) return reject(signal.reason);
      const call = id ?? this.reserve();
      const owner = options.within ?? call;

      const settle = (): void => {
        this.#pending.delete(fail);
        ignore?.();
        if (owner === call && !options.lasting) this.forget(call);
      };
      const fail = (error: unknown): void => {
        settle();
        reject(error);
      };
      // First: something that is no signal throws here, and then nothing must be left of the call.
      const ignore =
        signal &&
        onAbort(signal, () => {
          this.#abort(owner);
          if (options.prompt) fail(signal.reason);
        });
      if (owner === call) this.#callbacks.register(call, options);
      this.#pending.add(fail);
      this.#watch.expectAnswer();
      send(this.#remote, call).then((outcome) => {
        const thrown = this.#callbacks.thrown(owner);
        if (thrown) return fail(thrown.error);
        if ('value' in outcome) {
          settle();
          return resolve(outcome.value);
        }
        fail(signal?.aborted ? signal.reason : fromWireError(outcome.error, this.#callbacks.kept));
      }, fail);
    });
  }

  /** Drops the callbacks of a lasting call. */
  forget(call: number): void {
    this.#callbacks.forget(call);
  }

  /** @throws {@link Qcow2Error} `closed` after `close`, `failed` when the worker died */
  requireAlive(): void {
    if (this.#ended) throw this.#ended;
  }

  /** Whether calls can still be answered. */
  get alive(): boolean {
    return this.#ended === null;
  }

  /**
   * Rejects what is pending with `closed`, lets the worker clean up, and ends it. A second call waits for the first.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #connect(timeout: number): Promise<void> {
    // A unique name: the worker holds this lock for as long as it lives, and nothing else ever requests it but this
    // page.
    const lock = `qcow2-opfs worker ${crypto.randomUUID()}`;
    const onError = (event: ErrorEvent): void => {
      event.preventDefault();
      this.#end(
        new Qcow2Error('failed', `The worker could not be started: ${event.message || 'its script did not load'}.`),
      );
    };
    const onTimeout = (): void => {
      const message = `The worker did not answer within ${timeout / 1000} seconds. Try to open the store again.`;
      this.#end(new Qcow2Error('failed', message));
    };
    this.#worker.addEventListener('error', onError);
    const timer = setTimeout(onTimeout, timeout);
    try {
      await this.call((worker) => worker.connect(lock, proxy(this.#callbacks)));
      await this.#watch.begin(lock);
    } catch (error) {
      this.#worker.terminate();
      throw error;
    } finally {
      clearTimeout(timer);
      this.#worker.removeEventListener('error', onError);
    }
  }

  /** Comlink's calls never settle once a worker is dead: they are rejected here. */
  #onDeath(how: 'ended' | 'silent'): void {
    const message =
      how === 'ended'
        ? 'The worker ended unexpectedly. Open the store again to go on.'
        : 'The worker does not answer any more, as happens when the data of this site are cleared. Open the store again, or ' +
          'reload the page, to go on.';
    this.#end(new Qcow2Error('failed', message));
    this.#worker.terminate();
    this.#onGone();
  }

  #abort(call: number): void {
    if (this.#ended) return;
    // Nothing waits for the answer; a worker that is gone fails the aborted call itself.
    this.#remote.abort(call).catch(() => {});
  }

  #end(error: Qcow2Error): void {
    if (this.#ended) return;
    this.#ended = error;
    for (const fail of [...this.#pending]) fail(error);
  }

  async #close(): Promise<void> {
    if (!this.#ended) {
      const stopped = this.#remote.shutdown().catch(() => {});
      this.#watch.expectAnswer();
      this.#end(new Qcow2Error('closed', 'The store was closed.'));
      await Promise.race([stopped, this.#gone]);
    }
    this.#watch.end();
    this.#worker.terminate();
  }
}
