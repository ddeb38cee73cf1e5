/** Manages one worker on the page's side: starts it, calls it, detects its death and terminates it. */
import { proxy, type Remote, wrap } from 'comlink';
import { Qcow2Error } from 'qcow2';
import { onAbort } from 'qcow2/internal';
import type { PromisedOutcome, WorkerSide } from '../protocol/messages.js';
import { fromWireError } from '../protocol/wire-error.js';
import { Callbacks, type CallCallbacks } from './callbacks.js';
import { WorkerWatch } from './worker-watch.js';

/** The worker's interface as the page calls it. */
export type RemoteWorker = Remote<WorkerSide>;

/**
 * The start timeout: time for loading the script and the first response, long enough for a slow network. Milliseconds.
 */
const START_TIMEOUT_MS = 30_000;

/** Timeouts of a connection, in milliseconds. Tests use shorter ones. */
export interface ConnectionLimits {
  /** Until the first response. A worker that dies before it is not detected earlier, because it holds no lock yet. */
  readonly startTimeout?: number | undefined;
  /** Interval of the pings of {@link WorkerWatch}. */
  readonly pingEvery?: number | undefined;
}

/** How a call is carried out, apart from its message. */
export interface CallOptions extends CallCallbacks {
  readonly signal?: AbortSignal | undefined;
  /** Reject immediately on abort. Otherwise wait for the worker to clean up or to stop writing to shared memory. */
  readonly prompt?: boolean;
  /**
   * The earlier call that opened the object this call uses. Its number is used for aborts and callbacks. Without it the
   * call has its own.
   */
  readonly parentCall?: number;
  /** Keep the callbacks after the response, until {@link Connection.forget}. */
  readonly keepCallbacks?: boolean;
}

/** A live worker and its pending calls. */
export class Connection {
  readonly #worker: Worker;
  readonly #remote: RemoteWorker;
  readonly #callbacks: Callbacks;
  readonly #pending = new Set<(error: unknown) => void>();
  readonly #watch: WorkerWatch;
  /** Resolves when the worker is detected as dead. */
  readonly #died: Promise<void>;
  #resolveDied = (): void => {};
  /** The error that every further call rejects with; null while the worker lives. */
  #ended: Qcow2Error | null = null;
  #closing: Promise<void> | null = null;
  #lastCall = 0;

  private constructor(worker: Worker, pingEvery: number | undefined) {
    this.#worker = worker;
    this.#remote = wrap<WorkerSide>(worker);
    this.#callbacks = new Callbacks((call) => this.#abort(call));
    this.#died = new Promise((resolve) => {
      this.#resolveDied = resolve;
    });
    const waiting = (): boolean => this.#pending.size > 0 || this.#closing !== null;
    const ping = (): void => void this.#remote.ping().catch(() => {});
    this.#watch = new WorkerWatch(worker, { waiting, ping, died: (how) => this.#onDeath(how) }, pingEvery);
  }

  /**
   * Starts a worker and resolves on its first response.
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

  /** Allocates a call number. An object that a call opens is identified by the number of that call. */
  reserve(): number {
    return ++this.#lastCall;
  }

  /**
   * Calls the worker. Aborting rejects with the signal's own reason.
   *
   * @throws the worker's error, rebuilt; {@link Qcow2Error} `failed` when the worker died, `closed` after `close`
   */
  call<T>(
    send: (worker: RemoteWorker, call: number) => PromisedOutcome<T>,
    options: CallOptions = {},
    id?: number,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#ended) return reject(this.#ended);
      const { signal } = options;
      if (signal?.aborted) return reject(signal.reason);
      const call = id ?? this.reserve();
      const owner = options.parentCall ?? call;

      const settle = (): void => {
        this.#pending.delete(fail);
        removeListener?.();
        if (owner === call && !options.keepCallbacks) this.forget(call);
      };
      const fail = (error: unknown): void => {
        settle();
        reject(error);
      };
      // Must come first: an invalid signal throws here, before the call has any state to clean up.
      const removeListener =
        signal &&
        onAbort(signal, () => {
          this.#abort(owner);
          if (options.prompt) fail(signal.reason);
        });
      if (owner === call) this.#callbacks.register(call, options);
      this.#pending.add(fail);
      this.#watch.expectResponse();
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

  /** Drops the callbacks of a call with `lasting`. */
  forget(call: number): void {
    this.#callbacks.forget(call);
  }

  /** @throws {@link Qcow2Error} `closed` after `close`, `failed` when the worker died */
  requireAlive(): void {
    if (this.#ended) throw this.#ended;
  }

  /** True until the connection is closed or the worker has died. */
  get alive(): boolean {
    return this.#ended === null;
  }

  /**
   * Rejects pending calls with `closed`, lets the worker clean up, and terminates it. A second call waits for the
   * first.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #connect(timeout: number): Promise<void> {
    // A unique name: the worker holds this lock while it lives, and only this page requests it.
    const lock = `qcow2-opfs worker ${crypto.randomUUID()}`;
    const onError = (event: ErrorEvent): void => {
      event.preventDefault();
      this.#end(
        new Qcow2Error('failed', `The worker could not be started: ${event.message || 'its script did not load'}.`),
      );
    };
    const onTimeout = (): void => {
      const message = `The worker did not respond within ${timeout / 1000} seconds. Try to open the store again.`;
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

  /** Rejects all pending calls. Comlink's calls never settle once a worker is dead. */
  #onDeath(how: 'ended' | 'silent'): void {
    const message =
      how === 'ended'
        ? 'The worker ended unexpectedly. Open the store again to go on.'
        : 'The worker no longer responds, as happens when the data of this site are cleared. Open the store again, ' +
          'or reload the page, to go on.';
    this.#end(new Qcow2Error('failed', message));
    this.#worker.terminate();
    this.#resolveDied();
  }

  #abort(call: number): void {
    if (this.#ended) return;
    // The response is not needed. If the worker is dead, the aborted call itself fails.
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
      this.#watch.expectResponse();
      this.#end(new Qcow2Error('closed', 'The store was closed.'));
      await Promise.race([stopped, this.#died]);
    }
    this.#watch.end();
    this.#worker.terminate();
  }
}
