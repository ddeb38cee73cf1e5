/** Carries out the page's requests on the open images and on the store. */
import { transfer } from 'comlink';
import { type ImageInfo, isQcow2Error, type OpenOptions, type SalvageOptions, type SnapshotReference } from 'qcow2';
import type {
  Changed,
  CursorPacket,
  Invoked,
  Outcome,
  PageSide,
  PromisedOutcome,
  WireBytes,
  WireCreateOptions,
  WireExportOptions,
  WireFile,
  WireOpenOptions,
  WirePiece,
  WireReports,
  WireStorageOptions,
  WorkerSide,
  Written,
} from '../protocol/messages.js';
import type { StoredImage } from '../protocol/stored-image.js';
import { type CalledVerb, type CursorVerb, VERBS } from '../protocol/verbs.js';
import { holdLock } from '../protocol/web-lock.js';
import { CallReports } from './calls/call-reports.js';
import { openForeign } from './calls/foreign-image.js';
import { OpenImages } from './calls/open-images.js';
import { PageClient } from './calls/page-client.js';
import { readPieces, writePieces } from './calls/pieces.js';
import { outcomeOf, RunningCalls } from './calls/running-calls.js';
import { callVerb, packetsOf } from './calls/verb-calls.js';
import { OpenCursors, type OpenPackets } from './cursors/open-cursors.js';
import { exportDisk } from './export/salvaged-disk.js';
import { TemporaryExports } from './export/temporary-exports.js';
import type { Folder } from './storage/folder.js';
import { MemoryFolder } from './storage/memory-folder.js';
import { OpfsFolder } from './storage/opfs-folder.js';
import { PrivateFolder } from './storage/private-folder.js';
import type { AbortableOptions } from './store/file-copy.js';
import { ImageStore } from './store/image-store.js';
import { blobImport, pulledImport } from './store/import-source.js';

/** The options of a call that has reports. */
type ReportingOptions = AbortableOptions & Pick<SalvageOptions, 'onLost'>;

/** How long aborted calls may take to end before their images are closed. Milliseconds. */
const ABORT_TIMEOUT_MS = 1000;

/** The worker's side of the protocol. */
export class Service implements WorkerSide {
  readonly #images = new OpenImages();
  readonly #cursors = new OpenCursors();
  readonly #calls = new RunningCalls();
  readonly #temporaryExports = new TemporaryExports();
  #folder: PrivateFolder = new PrivateFolder('qcow2');
  #store: ImageStore = new ImageStore(new OpfsFolder(this.#folder));
  #page: PageClient | null = null;

  connect(lock: string, page: PageSide): PromisedOutcome<void> {
    return outcomeOf(async () => {
      this.#page = new PageClient(page);
      // Held until this worker ends, by which the page detects its death.
      await holdLock(lock);
    });
  }

  async ping(): PromisedOutcome<void> {
    return { value: undefined };
  }

  abort(call: number): void {
    this.#calls.abort(call);
    this.#cursors.abort(call);
  }

  open(call: number, file: WireFile, options: WireOpenOptions): PromisedOutcome<ImageInfo> {
    return this.#reporting(call, options.reports, async (running) =>
      this.#images.add(call, await openForeign(file, this.#openOptions(call, options, running))),
    );
  }

  openSnapshot(call: number, image: number, which: SnapshotReference): PromisedOutcome<ImageInfo> {
    return this.#calls.run(call, async () => {
      const view = await this.#images.get(image).openSnapshot(which);
      return this.#images.add(call, { image: view, close: () => view.close() }, image);
    });
  }

  read(
    call: number,
    image: number,
    pieces: readonly WirePiece[],
    spare: ArrayBuffer | null,
  ): PromisedOutcome<ArrayBuffer | null> {
    const outcome = this.#calls.run(call, async (signal) => readPieces(this.#images.get(image), pieces, spare, signal));
    return transferring(outcome, (buffer) => buffer);
  }

  write(
    call: number,
    image: number,
    pieces: readonly WireBytes[],
    packed: ArrayBuffer | null,
  ): PromisedOutcome<Written> {
    const outcome = this.#calls.run(call, async () => {
      const disk = this.#images.get(image);
      await writePieces(disk, pieces, packed);
      return { ...this.#images.changed(image, disk), spare: packed };
    });
    return transferring(outcome, ({ spare }) => spare);
  }

  invoke(
    call: number,
    image: number,
    verb: CalledVerb,
    args: readonly unknown[],
    reports: WireReports,
  ): PromisedOutcome<Invoked> {
    return this.#reporting(call, reports, async ({ signal, onProgress }) => {
      const disk = this.#images.get(image);
      const value = await callVerb(disk, verb, args, { signal, onProgress });
      return { value, changed: VERBS[verb].kind === 'value' ? null : this.#images.changed(image, disk) };
    });
  }

  state(call: number, image: number): PromisedOutcome<Changed> {
    return this.#calls.run(call, async () => this.#images.current(image));
  }

  openCursor(
    call: number,
    image: number,
    verb: CursorVerb,
    args: readonly unknown[],
    reports: WireReports,
  ): PromisedOutcome<void> {
    return this.#openCursor(call, image, reports, async (options) =>
      packetsOf(this.#images.get(image), verb, args, options),
    );
  }

  next(cursor: number): PromisedOutcome<CursorPacket> {
    const outcome = outcomeOf(() => this.#cursors.next(cursor));
    return transferring(outcome, (packet) => packet?.buffer ?? null);
  }

  release(cursor: number): PromisedOutcome<void> {
    return outcomeOf(() => this.#cursors.release(cursor));
  }

  export(
    call: number,
    image: number,
    to: FileSystemFileHandle,
    { salvage, reports }: WireExportOptions,
  ): PromisedOutcome<void> {
    return this.#reporting(call, reports, async (options) => {
      const disk = this.#images.get(image);
      await this.#store.exports.requireForeign(to);
      await exportDisk(to, disk, { ...options, salvage });
    });
  }

  temporaryExport(call: number, image: number, { salvage, reports }: WireExportOptions): PromisedOutcome<File> {
    return this.#reporting(call, reports, async (options) => {
      const disk = this.#images.get(image);
      const fill = (to: FileSystemFileHandle) => exportDisk(to, disk, { ...options, salvage });
      return this.#temporaryExports.create(call, this.#folder, disk.size, fill);
    });
  }

  removeTemporaryExport(id: number): PromisedOutcome<void> {
    return outcomeOf(() => this.#temporaryExports.remove(id));
  }

  close(image: number): PromisedOutcome<void> {
    return outcomeOf(async () => {
      const { open, ended } = this.#images.take(image);
      await this.#cursors.releaseOf(ended);
      await open?.close();
    });
  }

  shutdown(): PromisedOutcome<void> {
    return outcomeOf(async () => {
      await this.#calls.abortAll(ABORT_TIMEOUT_MS);
      await this.#cursors.releaseAll();
      // This ends calls that take no signal, such as writes: a web server that they wait for may not respond for
      // minutes.
      await this.#images.closeAll();
      await this.#calls.settled();
      // Images that were opened meanwhile.
      await this.#images.closeAll();
      await this.#temporaryExports.removeAll();
    });
  }

  useStorage({ directory, fallback }: WireStorageOptions): PromisedOutcome<'opfs' | 'memory'> {
    return outcomeOf(async () => {
      this.#folder = new PrivateFolder(directory);
      const folder = await folderFor(this.#folder, fallback);
      this.#store = new ImageStore(folder);
      return folder.kind;
    });
  }

  list(): PromisedOutcome<StoredImage[]> {
    return outcomeOf(() => this.#store.images.list());
  }

  has(name: string): PromisedOutcome<boolean> {
    return outcomeOf(() => this.#store.images.has(name));
  }

  stat(name: string): PromisedOutcome<StoredImage> {
    return outcomeOf(() => this.#store.images.stat(name));
  }

  usage(): PromisedOutcome<number> {
    return outcomeOf(() => this.#store.images.usage());
  }

  createStored(
    call: number,
    name: string,
    options: WireCreateOptions,
    reports: WireReports,
  ): PromisedOutcome<ImageInfo> {
    const { resolves, ...wanted } = options;
    return this.#reporting(call, reports, async (running) => {
      const resolve = resolves ? this.#page?.resolver(call, running.signal) : undefined;
      return this.#images.add(call, await this.#store.create(name, { ...wanted, ...running, resolve }));
    });
  }

  importStored(call: number, name: string, from: Blob | null, reports: WireReports): PromisedOutcome<void> {
    return this.#reporting(call, reports, (options) => {
      const source = from ? blobImport(from) : pulledImport(async () => this.#page?.pull(call) ?? null, options.signal);
      return this.#store.import(name, source, options);
    });
  }

  openStored(call: number, name: string, options: WireOpenOptions): PromisedOutcome<ImageInfo> {
    return this.#reporting(call, options.reports, async (running) => {
      const opening = { ...this.#openOptions(call, options, running), lock: options.lock };
      return this.#images.add(call, await this.#store.open(name, opening));
    });
  }

  exportStored(
    call: number,
    name: string,
    format: 'raw' | 'qcow2',
    to: FileSystemFileHandle,
    { salvage, reports }: WireExportOptions,
  ): PromisedOutcome<void> {
    return this.#reporting(call, reports, (options) =>
      this.#store.exports.into(name, format, to, { ...options, salvage }),
    );
  }

  streamStored(
    call: number,
    name: string,
    format: 'raw' | 'qcow2',
    { salvage, reports }: WireExportOptions,
  ): PromisedOutcome<void> {
    return this.#openCursor(call, call, reports, (options) =>
      this.#store.exports.stream(name, format, { ...options, salvage }),
    );
  }

  temporaryExportStored(
    call: number,
    name: string,
    format: 'raw' | 'qcow2',
    { salvage, reports }: WireExportOptions,
  ): PromisedOutcome<File> {
    return this.#reporting(call, reports, (options) => {
      const fill = (to: FileSystemFileHandle) => this.#store.exports.into(name, format, to, { ...options, salvage });
      return this.#temporaryExports.create(call, this.#folder, 0, fill);
    });
  }

  rename(call: number, from: string, to: string): PromisedOutcome<void> {
    return this.#calls.run(call, (signal) => this.#store.names.rename(from, to, signal));
  }

  remove(call: number, name: string): PromisedOutcome<void> {
    return this.#calls.run(call, (signal) => this.#store.names.remove(name, signal));
  }

  #openOptions(
    call: number,
    { mode, verify, repairDirty, cache, autoCompact, resolves }: WireOpenOptions,
    running: AbortableOptions,
  ): OpenOptions {
    const resolve = resolves ? this.#page?.resolver(call, running.signal) : undefined;
    return { ...running, mode, verify, repairDirty, cache, autoCompact, resolve };
  }

  /** Runs a call that has reports. Its result is sent after its last report has been delivered. */
  #reporting<T>(
    call: number,
    wanted: WireReports,
    work: (options: ReportingOptions) => Promise<T>,
  ): PromisedOutcome<T> {
    const reports = this.#reports(call, wanted);
    return this.#calls.run(call, async (signal) => {
      const { onProgress, onLost, delivered } = reports;
      const value = await work({ signal, onProgress, onLost, reported: delivered });
      await delivered();
      return value;
    });
  }

  #openCursor(call: number, image: number, reports: WireReports, open: OpenPackets): PromisedOutcome<void> {
    return this.#calls.run(call, (opening) =>
      this.#cursors.open(call, image, opening, this.#reports(call, reports), open),
    );
  }

  #reports(call: number, wanted: WireReports): CallReports {
    return this.#page?.reports(call, wanted) ?? new CallReports({});
  }
}

/** The folder for images: in OPFS, or, with the fallback and where the platform refuses OPFS, in memory. */
async function folderFor(folder: PrivateFolder, fallback: 'memory' | null): Promise<Folder> {
  try {
    // Without a fallback storage is opened with the first image.
    if (fallback) await folder.open();
  } catch (error) {
    if (!isQcow2Error(error, 'unavailable')) throw error;
    return new MemoryFolder();
  }
  // In the background: no call waits for the removal of stale temporary files.
  folder.sweepOnce();
  return new OpfsFolder(folder);
}

/** The outcome, marked so that a buffer in it is transferred and not copied. */
async function transferring<T>(
  promised: PromisedOutcome<T>,
  bufferOf: (value: T) => ArrayBuffer | null,
): PromisedOutcome<T> {
  const outcome: Outcome<T> = await promised;
  const buffer = 'value' in outcome ? bufferOf(outcome.value) : null;
  return buffer ? transfer(outcome, [buffer]) : outcome;
}
