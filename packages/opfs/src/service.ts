/** Owns what the worker does: the open images, and each request of the page carried out on them. */
import { transfer } from 'comlink';
import {
  type Disk,
  type ImageStats,
  isQcow2Error,
  type OpenOptions,
  type OperationOptions,
  Qcow2Error,
  Qcow2Image,
  type Range,
  type Resolved,
} from 'qcow2';
import { roundedLength } from './buffer-pool.js';
import { bytePages, Cursor, extentPages, type Pages } from './cursor.js';
import type { Folder } from './folder.js';
import { blobImport, pulledImport } from './import-source.js';
import { type AbortableOptions, Library, type OpenImage } from './library.js';
import { MemoryFolder } from './memory-folder.js';
import { OpfsFolder } from './opfs-folder.js';
import { PrivateFolder } from './private-folder.js';
import { ProgressReports } from './progress-reports.js';
import type {
  Answer,
  CursorPage,
  ImageState,
  Outcome,
  PageSide,
  WireCreateOptions,
  WireOpenOptions,
  WirePiece,
  WireResolved,
  WireStorageOptions,
  WorkerSide,
} from './protocol.js';
import { exportRaw } from './raw-export.js';
import { openSink } from './raw-sink.js';
import { outcomeOf, RunningCalls } from './running-calls.js';
import { Spools } from './spools.js';
import { availableBytes } from './storage-error.js';
import type { StoredImage } from './stored-image.js';
import { unlessAborted } from './unless-aborted.js';
import { holdLock } from './web-lock.js';
import { fromWireError, KeptError } from './wire-error.js';

/** The worker's side of the protocol. */
export class Service implements WorkerSide {
  readonly #images = new Map<number, OpenImage>();
  readonly #cursors = new Map<number, Cursor>();
  readonly #calls = new RunningCalls();
  readonly #spools = new Spools();
  #folder: PrivateFolder = new PrivateFolder('qcow2');
  #library: Library = new Library(new OpfsFolder(this.#folder));
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
    return this.#reporting(call, options.reports, async (running) => {
      const image = await Qcow2Image.open(file, this.#openOptions(call, options, running));
      return this.#opened(call, { image, close: () => image.close() });
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
    return this.#openCursor(call, image, reports, async (options) =>
      extentPages(this.#image(image).map(range ?? undefined, options)),
    );
  }

  stream(call: number, image: number, range: Range | null, reports: boolean): Answer<void> {
    return this.#openCursor(call, image, reports, async (options) =>
      bytePages(this.#image(image).readable(range ?? undefined, options)),
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
      await this.#library.requireForeign(to);
      await writeRaw(disk, to, options);
    });
  }

  spool(call: number, image: number, reports: boolean): Answer<File> {
    return this.#reporting(call, reports, async (options) => {
      const disk = this.#image(image);
      return this.#spools.create(call, this.#folder, disk.size, (to) => writeRaw(disk, to, options));
    });
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

  useStorage({ directory, fallback }: WireStorageOptions): Answer<'opfs' | 'memory'> {
    return outcomeOf(async () => {
      this.#folder = new PrivateFolder(directory);
      const folder = await folderFor(this.#folder, fallback);
      this.#library = new Library(folder);
      return folder.kind;
    });
  }

  list(): Answer<StoredImage[]> {
    return outcomeOf(() => this.#library.inventory.list());
  }

  usage(): Answer<number> {
    return outcomeOf(() => this.#library.inventory.usage());
  }

  createStored(call: number, name: string, options: WireCreateOptions, reports: boolean): Answer<ImageState> {
    return this.#reporting(call, reports, async (running) => {
      await this.#library.create(name, { ...options, ...running });
      // It has its name: what aborts now comes too late.
      return this.#opened(call, await this.#library.open(name));
    });
  }

  importStored(call: number, name: string, from: Blob | null, reports: boolean): Answer<void> {
    return this.#reporting(call, reports, (options) => {
      const source = from ? blobImport(from) : pulledImport(() => this.#ask((page) => page.pull(call), null));
      return this.#library.import(name, source, options);
    });
  }

  openStored(call: number, name: string, options: WireOpenOptions): Answer<ImageState> {
    return this.#reporting(call, options.reports, async (running) =>
      this.#opened(call, await this.#library.open(name, this.#openOptions(call, options, running))),
    );
  }

  exportStored(
    call: number,
    name: string,
    format: 'raw' | 'qcow2',
    to: FileSystemFileHandle,
    reports: boolean,
  ): Answer<void> {
    return this.#reporting(call, reports, (options) => this.#library.export(name, format, to, options));
  }

  streamStored(call: number, name: string, format: 'raw' | 'qcow2', reports: boolean): Answer<void> {
    return this.#openCursor(call, call, reports, (options) => this.#library.stream(name, format, options));
  }

  spoolStored(call: number, name: string, format: 'raw' | 'qcow2', reports: boolean): Answer<File> {
    return this.#reporting(call, reports, (options) =>
      this.#spools.create(call, this.#folder, 0, (to) => this.#library.export(name, format, to, options)),
    );
  }

  rename(call: number, from: string, to: string): Answer<void> {
    return this.#calls.run(call, (signal) => this.#library.rename(from, to, signal));
  }

  remove(call: number, name: string): Answer<void> {
    return this.#calls.run(call, (signal) => this.#library.remove(name, signal));
  }

  #image(image: number): Qcow2Image {
    const open = this.#images.get(image);
    if (!open) throw new Qcow2Error('closed', 'The image was closed.');
    return open.image;
  }

  #opened(call: number, open: OpenImage): ImageState {
    this.#images.set(call, open);
    const { size, info, snapshots, bitmaps } = open.image;
    return { size, info, snapshots, bitmaps };
  }

  #openOptions(call: number, { mode, cache, resolves }: WireOpenOptions, running: AbortableOptions): OpenOptions {
    return { ...running, mode, cache, resolve: resolves ? this.#resolver(call, running.signal) : undefined };
  }

  /** Runs a call that reports progress; its answer leaves after its last report has arrived. */
  #reporting<T>(call: number, reports: boolean, work: (options: AbortableOptions) => Promise<T>): Answer<T> {
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
    open: (options: AbortableOptions) => Promise<Pages>,
  ): Answer<void> {
    return this.#calls.run(call, async (opening) => {
      const controller = new AbortController();
      const onAbort = (): void => controller.abort();
      opening.addEventListener('abort', onAbort, { once: true });
      const progress = this.#reports(call, reports);
      const pages = await open({ signal: controller.signal, onProgress: progress.onProgress });
      opening.removeEventListener('abort', onAbort);
      const cursor = new Cursor(image, pages, progress, controller);
      if (opening.aborted) {
        await cursor.release();
        opening.throwIfAborted();
      }
      this.#cursors.set(call, cursor);
    });
  }

  async #releaseCursors(which: (cursor: Cursor) => boolean): Promise<void> {
    const chosen = [...this.#cursors].filter(([, cursor]) => which(cursor));
    for (const [id] of chosen) this.#cursors.delete(id);
    await Promise.all(chosen.map(([, cursor]) => cursor.release()));
  }

  #resolver(call: number, signal: AbortSignal): NonNullable<OpenOptions['resolve']> {
    // A resolver may be waiting for a person, who may have given up.
    return (reference): Promise<Resolved> =>
      unlessAborted(
        this.#ask<WireResolved>((page) => page.resolve(call, reference), null),
        signal,
      );
  }

  /** Asks the page; `none` without one. What the page throws comes back to it as the very same error. */
  async #ask<T>(question: (page: PageSide) => Answer<T>, none: T): Promise<T> {
    if (!this.#page) return none;
    const outcome = await question(this.#page);
    if ('value' in outcome) return outcome.value;
    const { key, message } = outcome.error;
    throw key === undefined ? fromWireError(outcome.error) : new KeptError(key, message);
  }
}

async function writeRaw(disk: Disk, to: FileSystemFileHandle, options: OperationOptions): Promise<void> {
  await exportRaw(disk, await openSink(to, disk.size, await availableBytes()), options);
}

/** Where images are kept: in OPFS, or, when that is wanted where the platform refuses it, in memory. */
async function folderFor(folder: PrivateFolder, fallback: 'memory' | null): Promise<Folder> {
  try {
    // Without a fallback nothing depends on the answer, which then may wait until an image is asked for.
    if (fallback) await folder.open();
  } catch (error) {
    if (!isQcow2Error(error, 'unavailable')) throw error;
    return new MemoryFolder();
  }
  // In the background: nobody waits for what earlier runs left.
  folder.swept();
  return new OpfsFolder(folder);
}

/** The answer, marked so that a buffer in it is transferred and not copied. */
async function transferring<T>(answer: Answer<T>, bufferOf: (value: T) => ArrayBuffer | null): Answer<T> {
  const outcome: Outcome<T> = await answer;
  const buffer = 'value' in outcome ? bufferOf(outcome.value) : null;
  return buffer ? transfer(outcome, [buffer]) : outcome;
}
