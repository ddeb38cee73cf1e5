/**
 * Owns the flushing of a file in a second worker: a flush blocks whoever calls it, and so would stop the writing
 * meanwhile.
 */
import { workerOfText } from '../../protocol/script-worker.js';
import type { CreateHandle, SyncHandle } from './sync-handle.js';

/** What is sent to that worker: the file, first, and then what is to be done with it. */
type Request = FileSystemFileHandle | 'flush' | 'close';
/** What it answers to the file, and to `'close'`. */
type Reply = 'opened' | 'failed' | 'closed';

/**
 * How long an answer is waited for: the flushes that are asked for are of 8 MiB, and follow each other. Milliseconds.
 */
const TIMEOUT_MS = 30_000;

/**
 * A worker that flushes a file while this one goes on writing to it. It only saves time: where it cannot be started, or
 * its flushes fail, the flush at the end finds everything still to be done, or the same error.
 */
export class Flusher {
  readonly #worker: Worker;
  /** Whether it has the file; resolves in any case. */
  readonly #opened: Promise<boolean>;
  #closing: Promise<void> | null = null;

  private constructor(worker: Worker, file: FileSystemFileHandle) {
    this.#worker = worker;
    // It would be reported to the page as an error that is not caught.
    worker.addEventListener('error', (event) => event.preventDefault());
    this.#opened = this.#ask(file).then((reply) => reply === 'opened');
  }

  /** @param file every handle of it is an unlocked one; null where this worker cannot make others */
  static start(file: FileSystemFileHandle): Flusher | null {
    try {
      return new Flusher(workerOfText(`(${serve})()`), file);
    } catch {
      return null;
    }
  }

  /** Begins to make durable what has been written so far. */
  flush(): void {
    this.#send('flush');
  }

  /**
   * Resolves when nothing is flushed any more and the worker's handle is closed. A second call resolves with the first.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (await this.#opened) await this.#ask('close');
    this.#worker.terminate();
  }

  /** Sends a request that is answered; null when the worker fails, or does not answer in time. */
  #ask(request: Request): Promise<Reply | null> {
    return new Promise((resolve) => {
      const done = new AbortController();
      const { signal } = done;
      const end = (reply: Reply | null): void => {
        done.abort();
        clearTimeout(timer);
        resolve(reply);
      };
      const timer = setTimeout(end, TIMEOUT_MS, null);
      this.#worker.addEventListener('message', ({ data }: MessageEvent<Reply>) => end(data), { signal });
      this.#worker.addEventListener('error', () => end(null), { signal });
      this.#send(request);
    });
  }

  #send(request: Request): void {
    this.#worker.postMessage(request);
  }
}

/**
 * The whole script of that worker, which is sent as text: it starts at once, and no bundler has to find it. It may use
 * nothing from outside.
 */
function serve(): void {
  let opening: Promise<SyncHandle | null>;
  self.onmessage = async ({ data }: MessageEvent<Request>) => {
    if (typeof data !== 'string') {
      const file = data as FileSystemFileHandle & { createSyncAccessHandle: CreateHandle };
      opening = file.createSyncAccessHandle({ mode: 'readwrite-unsafe' }).catch(() => null);
      self.postMessage((await opening) === null ? 'failed' : 'opened');
      return;
    }
    // Requests can come while it is still being opened.
    const handle = await opening;
    if (data === 'flush') return handle?.flush();
    handle?.close();
    self.postMessage('closed');
  };
}
