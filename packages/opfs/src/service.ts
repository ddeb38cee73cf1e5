/** Owns what the worker does: the open images, and each request of the page carried out on them. */
import { transfer } from 'comlink';
import {
  type Disk,
  type ImageStats,
  type OpenOptions,
  type OperationOptions,
  Qcow2Error,
  Qcow2Image,
  type Range,
  type Resolved,
} from 'qcow2';
import { roundedLength } from './buffer-pool.js';
import { bytePages, Cursor, extentPages, type Pages } from './cursor.js';
import { ProgressReports } from './progress-reports.js';
import type {
  Answer,
  CursorPage,
  ImageState,
  Outcome,
  PageSide,
  WireOpenOptions,
  WirePiece,
  WorkerSide,
} from './protocol.js';
import { exportRaw } from './raw-export.js';
import { openSink } from './raw-sink.js';
import { outcomeOf, RunningCalls } from './running-calls.js';
import { Spools } from './spools.js';
import { availableBytes } from './storage-error.js';
import { holdLock } from './web-lock.js';
import { fromWireError, KeptError } from './wire-error.js';

/** The worker's side of the protocol. */
export class Service implements WorkerSide {
  readonly #images = new Map<number, Qcow2Image>();
  readonly #cursors = new Map<number, Cursor>();
  readonly #calls = new RunningCalls();
  readonly #spools = new Spools();
  #page: PageSide | null = null;

  connect(lock: string, page: PageSide): Answer<void> {
    return outcomeOf(async () => {
      this.#page = page;
      // Held until this worker is gone: that is all it says.
      await holdLock(lock);
    });
  }

  abort(call: number): void {
    this.#calls.abort(call);
    this.#cursors.get(call)?.abort();
  }

  open(call: number, file: Blob, options: WireOpenOptions): Answer<ImageState> {
    return this.#reporting(call, options.reports, async ({ signal, onProgress }) => {
      const { mode, cache } = options;
      const resolve = options.resolves ? this.#resolver(call, signal) : undefined;
      const image = await Qcow2Image.open(file, { mode, cache, resolve, signal, onProgress });
      this.#images.set(call, image);
      const { size, info, snapshots, bitmaps } = image;
      return { size, info, snapshots, bitmaps };
    });
  }

  read(
    call: number,
    image: number,
    pieces: readonly WirePiece[],
    spare: ArrayBuffer | null,
  ): Answer<ArrayBuffer | null> {
    const answer = this.#calls.run(call, async (signal) => {
      const disk = this.#image(image);
      const length = pieces.reduce((sum, piece) => sum + (piece.shared ? 0 : piece.length), 0);
      const buffer = length > 0 ? (spare ?? new ArrayBuffer(roundedLength(length))) : null;
      let at = 0;
      const reads = pieces.map((piece) => {
        if (piece.shared) return disk.read(piece.at, piece.shared, { signal });
        const into = buffer ? new Uint8Array(buffer, at, piece.length) : new Uint8Array(0);
        at += piece.length;
        return disk.read(piece.at, into, { signal });
      });
      // All must be at rest, also when one has failed: shared memory is the caller's again with the answer.
      const failed = (await Promise.allSettled(reads)).find((read) => read.status === 'rejected');
      if (failed) throw failed.reason;
      return buffer;
    });
    return transferring(answer, (buffer) => buffer);
  }

  map(call: number, image: number, range: Range | null, reports: boolean): Answer<void> {
    return this.#openCursor(call, image, reports, (disk, options) =>
      extentPages(disk.map(range ?? undefined, options)),
    );
  }

  stream(call: number, image: number, range: Range | null, reports: boolean): Answer<void> {
    return this.#openCursor(call, image, reports, (disk, options) =>
      bytePages(disk.readable(range ?? undefined, options)),
    );
  }

  next(cursor: number): Answer<CursorPage> {
    const answer = outcomeOf(async () => {
      const open = this.#cursors.get(cursor);
      if (!open) throw new Qcow2Error('closed', 'The image was closed while it was being read.');
      return open.next();
    });
    return transferring(answer, (page) => page?.buffer ?? null);
  }

  release(cursor: number): Answer<void> {
    return outcomeOf(async () => {
      const open = this.#cursors.get(cursor);
      this.#cursors.delete(cursor);
      await open?.release();
    });
  }

  seek(call: number, image: number, offset: number, what: 'data' | 'hole'): Answer<number | null> {
    return this.#calls.run(call, async () => {
      const disk = this.#image(image);
      return what === 'data' ? disk.seekData(offset) : disk.seekHole(offset);
    });
  }

  stats(call: number, image: number): Answer<ImageStats> {
    return this.#calls.run(call, async () => this.#image(image).stats);
  }

  export(call: number, image: number, to: FileSystemFileHandle, reports: boolean): Answer<void> {
    return this.#reporting(call, reports, async (options) => {
      const disk = this.#image(image);
      const sink = await openSink(to, disk.size, await availableBytes());
      await exportRaw(disk, sink, options);
    });
  }

  spool(call: number, image: number, reports: boolean): Answer<File> {
    return this.#reporting(call, reports, async (options) => this.#spools.create(call, this.#image(image), options));
  }

  removeSpool(spool: number): Answer<void> {
    return outcomeOf(() => this.#spools.remove(spool));
  }

  close(image: number): Answer<void> {
    return outcomeOf(async () => {
      const open = this.#images.get(image);
      this.#images.delete(image);
      await this.#releaseCursors((cursor) => cursor.image === image);
      await open?.close();
    });
  }

  shutdown(): Answer<void> {
    return outcomeOf(async () => {
      await this.#calls.abortAll();
      await this.#releaseCursors(() => true);
      const images = [...this.#images.values()];
      this.#images.clear();
      await Promise.allSettled(images.map((image) => image.close()));
      await this.#spools.removeAll();
    });
  }

  #image(image: number): Qcow2Image {
    const open = this.#images.get(image);
    if (!open) throw new Qcow2Error('closed', 'The image was closed.');
    return open;
  }

  /** Runs a call that reports progress; its answer leaves after its last report has arrived. */
  #reporting<T>(
    call: number,
    reports: boolean,
    work: (options: OperationOptions & { signal: AbortSignal }) => Promise<T>,
  ): Answer<T> {
    const progress = this.#reports(call, reports);
    return this.#calls.run(call, async (signal) => {
      const value = await work({ signal, onProgress: progress.onProgress });
      await progress.delivered();
      return value;
    });
  }

  #reports(call: number, reports: boolean): ProgressReports {
    const page = this.#page;
    return new ProgressReports(reports && page ? async (progress) => page.progress(call, progress) : null);
  }

  #openCursor(
    call: number,
    image: number,
    reports: boolean,
    open: (disk: Disk, options: OperationOptions) => Pages,
  ): Answer<void> {
    return outcomeOf(async () => {
      const controller = new AbortController();
      const progress = this.#reports(call, reports);
      const pages = open(this.#image(image), { signal: controller.signal, onProgress: progress.onProgress });
      this.#cursors.set(call, new Cursor(image, pages, progress, controller));
    });
  }

  async #releaseCursors(which: (cursor: Cursor) => boolean): Promise<void> {
    const chosen = [...this.#cursors].filter(([, cursor]) => which(cursor));
    for (const [id] of chosen) this.#cursors.delete(id);
    await Promise.all(chosen.map(([, cursor]) => cursor.release()));
  }

  /** Asks the page's resolver. What it throws comes back as the very same error. */
  #resolver(call: number, signal: AbortSignal): NonNullable<OpenOptions['resolve']> {
    return async (reference): Promise<Resolved> => {
      if (!this.#page) return null;
      // A resolver may be waiting for a person, who may have given up.
      const outcome = await unlessAborted(this.#page.resolve(call, reference), signal);
      if ('value' in outcome) return outcome.value;
      const { key, message } = outcome.error;
      throw key === undefined ? fromWireError(outcome.error) : new KeptError(key, message);
    };
  }
}

/** The answer, marked so that a buffer in it is transferred and not copied. */
async function transferring<T>(answer: Answer<T>, bufferOf: (value: T) => ArrayBuffer | null): Answer<T> {
  const outcome: Outcome<T> = await answer;
  const buffer = 'value' in outcome ? bufferOf(outcome.value) : null;
  return buffer ? transfer(outcome, [buffer]) : outcome;
}

/** The promise's outcome, or the signal's reason when that comes first. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
