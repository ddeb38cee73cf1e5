/** Owns the flushing of a file in a second worker: a flush blocks whoever calls it, and so would stop the writing meanwhile. */
import { type Remote, wrap } from 'comlink';
import { openUnlockedHandle, type SyncHandle } from './sync-handle.js';

/** The name of a worker that flushes for another one: the script of both is the same. */
export const FLUSHER_NAME = 'qcow2-opfs flusher';

/** What a worker of that name does: flushes one file. */
export class Flusher {
  #opening: Promise<SyncHandle | null> = Promise.resolve(null);

  /** @throws `DOMException` as the platform does */
  async open(file: FileSystemFileHandle): Promise<void> {
    this.#opening = openUnlockedHandle(file);
    await this.#opening;
  }

  /** Makes durable what anybody has written to the file. Requests can come while it is still being opened. */
  async flush(): Promise<void> {
    (await this.#opening)?.flush();
  }

  /** Lets go of the file. */
  async close(): Promise<void> {
    (await this.#opening)?.close();
  }
}

/**
 * A worker that flushes a file while this one goes on writing to it. It only saves time: where it cannot be started, or its
 * flushes fail, the flush at the end finds everything still to be done, or the same error.
 */
export class FlushingWorker {
  readonly #worker: Worker;
  readonly #remote: Remote<Flusher>;
  /** Whether it has the file; resolves in any case. */
  readonly #opened: Promise<boolean>;

  private constructor(worker: Worker, file: FileSystemFileHandle) {
    this.#worker = worker;
    this.#remote = wrap<Flusher>(worker);
    const failed = new Promise<boolean>((resolve) => {
      worker.addEventListener('error', (event) => {
        // It would be reported to the page as an error that nobody caught.
        event.preventDefault();
        resolve(false);
      });
    });
    const opened = this.#remote.open(file).then(
      () => true,
      () => false,
    );
    this.#opened = Promise.race([opened, failed]);
  }

  /** @param file every handle of it is an unlocked one; null where workers cannot make workers */
  static start(file: FileSystemFileHandle): FlushingWorker | null {
    try {
      const worker = new Worker(globalThis.location.href, { type: 'module', name: FLUSHER_NAME });
      return new FlushingWorker(worker, file);
    } catch {
      return null;
    }
  }

  /** Begins to make durable what has been written so far. */
  flush(): void {
    this.#remote.flush().catch(() => {});
  }

  /** Resolves when nothing is flushed any more and the worker's handle is closed. */
  async close(): Promise<void> {
    if (await this.#opened) await this.#remote.close();
    this.#worker.terminate();
  }
}
