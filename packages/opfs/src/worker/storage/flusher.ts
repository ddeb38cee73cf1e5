/** Flushes a file in a second worker: a flush blocks its caller, which meanwhile could not write. */
import { workerOfText } from '../../protocol/script-worker.js';
import type { CreateHandle, SyncHandle } from './sync-handle.js';

/** A message to that worker: first the file, then commands. */
type Request = FileSystemFileHandle | 'flush' | 'close';
/** Its response to the file and to `'close'`. */
type Reply = 'opened' | 'failed' | 'closed';

/** Timeout for a response: the requested flushes are of 8 MiB each and follow each other. Milliseconds. */
const TIMEOUT_MS = 30_000;

/**
 * A worker that flushes a file while this one goes on writing to it. It only saves time: where it cannot be started, or
 * its flushes fail, the final flush does all the work, or reports the same error.
 */
export class Flusher {
  readonly #worker: Worker;
  /** Whether it has opened the file. Never rejects. */
  readonly #opened: Promise<boolean>;
  #closing: Promise<void> | null = null;

  private constructor(worker: Worker, file: FileSystemFileHandle) {
    this.#worker = worker;
    // It would be reported to the page as an uncaught error.
    worker.addEventListener('error', (event) => event.preventDefault());
    this.#opened = this.#request(file).then((reply) => reply === 'opened');
  }

  /** @param file every open handle of it must be an unlocked one. Returns null where this worker cannot start others */
  static start(file: FileSystemFileHandle): Flusher | null {
    try {
      return new Flusher(workerOfText(`(${serve})()`), file);
    } catch {
      return null;
    }
  }

  /** Starts flushing what has been written so far. */
  flush(): void {
    this.#send('flush');
  }

  /** Resolves when flushing has ended and the worker's handle is closed. A second call returns the same promise. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (await this.#opened) await this.#request('close');
    this.#worker.terminate();
  }

  /** Sends a request and waits for its response; null when the worker fails or does not respond in time. */
  #request(request: Request): Promise<Reply | null> {
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
 * The whole script of that worker, sent as text: it starts at once, and no bundler has to find it. It must not use
 * anything defined outside.
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
    // Requests can arrive while the handle is still being opened.
    const handle = await opening;
    if (data === 'flush') return handle?.flush();
    handle?.close();
    self.postMessage('closed');
  };
}
