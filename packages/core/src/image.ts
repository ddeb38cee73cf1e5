/** `Qcow2Image`, the public handle of an open image: its methods check their arguments and delegate. */
// biome-ignore-all lint/suspicious/noUnsafeDeclarationMerging: the class defines every method of the interface

import type { BlockDevice, Done, Transfer } from './api/device.js';
import type { Disk, ReadOptions, WritableOptions, WriteZeroesOptions } from './api/disk.js';
import type { DigestOptions, HashAlgorithm } from './api/hash.js';
import type { BitmapInfo, ImageInfo, SnapshotInfo } from './api/info.js';
import type { Openable } from './api/openable.js';
import type {
  CreateOptions,
  DehydrateOptions,
  MapOptions,
  OpenOptions,
  OperationOptions,
  SalvageOptions,
} from './api/options.js';
import type { Extent, Range } from './api/range.js';
import type { SnapshotReference } from './api/snapshot-reference.js';
import { requireOptions } from './arguments.js';
import { fixedTransfers, lengthOf, requireAllIntact, whileIntact } from './engine/async/request-buffers.js';
import type { Qcow2Layer } from './engine/layer/layer.js';
import { notSynchronous } from './engine/layer/wait-tracker.js';
import { boundsOf, requireInside } from './engine/mapping/guest-range.js';
import { readGuest } from './engine/read/execute.js';
import { Qcow2Error } from './errors.js';
import { BatchIterator } from './verbs/batch-iterator.js';
import type { Changes } from './verbs/changes.js';
import { imageInfo } from './verbs/info.js';
import { lazyStream } from './verbs/lazy-stream.js';
import type { OpenImage } from './verbs/on-demand.js';
import { closeAll, openImage } from './verbs/open/open.js';
import type { OpenedImage, Synchronous } from './verbs/open/opened-image.js';
import type { Writing } from './verbs/open/opening.js';
import { readableOf } from './verbs/readable.js';
import { REVISION } from './verbs/revision.js';

/** The result of a read that did not have to wait. */
const DONE: Promise<void> = Promise.resolve();

/** The methods whose code is loaded when they are called: `verbs/on-demand.ts` has a function for each. */
const ON_DEMAND = [
  'stats',
  'seekData',
  'seekHole',
  'check',
  'usage',
  'digest',
  'repair',
  'resize',
  'sparsify',
  'compact',
  'createSnapshot',
  'applySnapshot',
  'deleteSnapshot',
  'renameSnapshot',
  'openSnapshot',
] as const;

type OnDemandMethod = (typeof ON_DEMAND)[number];

/** What is loaded with the first call of one of them, or of one whose result is a stream or an iterator. */
type OnDemand = typeof import('./verbs/on-demand.js');

/** The methods that {@link Qcow2Image} has by the list above. */
export interface Qcow2Image extends Pick<Disk, Exclude<OnDemandMethod, 'digest' | 'openSnapshot'>> {
  /**
   * As `Disk.digest`. It hashes with `@noble/hashes`, which is loaded then, unless `createHash` is given: with
   * `nodeHash` of `qcow2/node` it is several times as fast.
   */
  digest(algorithm: HashAlgorithm, options?: DigestOptions): Promise<Uint8Array<ArrayBuffer>>;

  /** As `Disk.openSnapshot`. */
  openSnapshot(which: SnapshotReference): Promise<Qcow2Image>;
}

/** An open qcow2 image. */
export class Qcow2Image implements Disk {
  /** Closes the image, for `await using`. Defined only where the platform has the symbol. */
  declare readonly [Symbol.asyncDispose]: () => Promise<void>;
  #opened: OpenedImage;
  /** The image whose snapshot this is; null for other images. */
  readonly #viewed: Qcow2Image | null;
  #info: ImageInfo | null = null;
  #closing: Promise<void> | null = null;

  static {
    // biome-ignore lint/complexity/noThisInStatic: beside an interface, TypeScript 7 emits a name that is not set yet
    const { prototype } = this;
    const get = function (this: Qcow2Image): number {
      const { write, repair } = this.#opened;
      return (write?.writer ?? repair)?.revision ?? 0;
    };
    Object.defineProperty(prototype, REVISION, { get });
    defineOnDemand(prototype, (image, method, args) => image.#onDemand(method, args));
    // Not a method: where the symbol is missing, the method would be named "undefined".
    if (Symbol.asyncDispose !== undefined) {
      const value = function (this: Qcow2Image) {
        return this.close();
      };
      Object.defineProperty(prototype, Symbol.asyncDispose, { value });
    }
  }

  private constructor(opened: OpenedImage, viewed: Qcow2Image | null = null) {
    this.#opened = opened;
    this.#viewed = viewed;
  }

  /**
   * Opens an image, by default for reading. Reads the header, the L1 table and, where there are any, the snapshot table
   * and the bitmap directory; for writing, all L2 tables and refcounts as well, unless `options.verify` is false. Never
   * writes: the file is not modified before the first change.
   *
   * @throws {@link Qcow2Error} `not-qcow2`, `unsupported` or `corrupt` with the location in `details`, `corrupt` also
   *   when two files of the chain are the same file, and when the check before writing finds damage, `needs-repair`
   *   when an image to be written is marked dirty or corrupt, `locked` when another image of this process writes to the
   *   file, `changed` or `io` from the source; TypeError when `source` cannot be opened, or not written to; the
   *   signal's reason when it aborts.
   *
   * @example
   * ```ts
   * import { Qcow2Image } from 'qcow2';
   *
   * const image = await Qcow2Image.open(file);
   * console.log(image.size, image.info.clusterSize);
   * await image.close();
   * ```
   */
  static async open(source: Openable, options?: OpenOptions): Promise<Qcow2Image> {
    return new Qcow2Image(await openImage(source, options));
  }

  /**
   * Creates an empty image on `device` and opens it for writing. The header is written last, after a flush, so that a
   * crash leaves no image instead of a partial one. Closing the image does not close the device.
   *
   * @throws RangeError for an invalid value, TypeError for options that exclude each other; {@link Qcow2Error} `exists`
   *   when the device or the data file is not empty and `overwrite` is not set, `reference-refused` when `resolve` does
   *   not return the data file as a device, `corrupt` when the device, the data file and the backing file are not
   *   different files, `locked` when another image of this process writes to one of them; all these before anything is
   *   changed. The errors of the device; the signal's reason when it aborts.
   *
   * @example
   * ```ts
   * import { bufferDevice, Qcow2Image } from 'qcow2';
   *
   * const image = await Qcow2Image.create(bufferDevice(), { size: 2 ** 30, clusterSize: 65536 });
   * await image.write(0, bytes);
   * await image.close();
   * ```
   */
  static async create(
    device: BlockDevice,
    options: CreateOptions & Pick<OpenOptions, 'resolve' | 'cache'>,
  ): Promise<Qcow2Image> {
    const verb = await import('./verbs/create/create.js');
    return verb.createImage(device, options, (opening) => Qcow2Image.open(device, opening));
  }

  get size(): number {
    return this.#opened.layer.size;
  }

  get info(): ImageInfo {
    const { layer, write } = this.#opened;
    if (write !== null) return write.info();
    this.#info ??= imageInfo(layer);
    return this.#info;
  }

  get snapshots(): readonly SnapshotInfo[] {
    return this.info.snapshots;
  }

  get bitmaps(): readonly BitmapInfo[] {
    return this.info.bitmaps;
  }

  read(offset: number, into: Uint8Array, options?: ReadOptions): Promise<void>;
  read(offset: number, length: number, options?: ReadOptions): Promise<Uint8Array<ArrayBuffer>>;
  read(offset: number, what: Uint8Array | number, options?: ReadOptions): Promise<unknown> {
    return typeof what === 'number' ? this.#readNew(offset, what, options) : this.#readInto(offset, what, options);
  }

  #readInto(offset: number, into: Uint8Array, options: ReadOptions | undefined): Promise<void> {
    try {
      this.#alive(options);
      options?.signal?.throwIfAborted();
      const length = lengthOf(into);
      requireInside(offset, length, this.size);
      const done = readGuest(this.#opened.layer, [{ at: offset, bytes: into }], options?.signal);
      return whileIntact(done, into, length, options?.signal) ?? DONE;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async #readNew(offset: number, length: number, options: ReadOptions | undefined): Promise<Uint8Array<ArrayBuffer>> {
    this.#alive();
    requireInside(offset, length, this.size);
    const into = new Uint8Array(length);
    await this.#readInto(offset, into, options);
    return into;
  }

  async readBatch(transfers: readonly Transfer[], options?: ReadOptions): Promise<void> {
    this.#alive(options);
    const signal = options?.signal;
    signal?.throwIfAborted();
    const fixed = fixedTransfers(transfers);
    for (const { at, length } of fixed) requireInside(at, length, this.size);
    try {
      await readGuest(this.#opened.layer, fixed, signal);
    } finally {
      if (!signal?.aborted) requireAllIntact(fixed);
    }
  }

  map(range?: Range, options?: MapOptions): AsyncIterableIterator<Extent, undefined, undefined> {
    return new BatchIterator(async () => {
      this.#alive(options);
      const { start, end } = boundsOf(range, this.size);
      if (options?.salvage || options?.detectZeroes) return this.#onDemand('mapClosely', [start, end, options]);
      const verb = await import('./verbs/map.js');
      return verb.mapBatches(this.#opened.layer, start, end, () => this.#alive(), options);
    });
  }

  dehydrate(options?: DehydrateOptions): ReadableStream<Uint8Array<ArrayBuffer>> {
    this.#alive(options);
    return lazyStream(() => this.#onDemand('dehydrate', [options]));
  }

  readable(range?: Range, options?: SalvageOptions): ReadableStream<Uint8Array<ArrayBuffer>> {
    this.#alive(options);
    const { start, end } = boundsOf(range, this.size);
    return readableOf(this.#opened.layer, start, end, () => this.#alive(), options);
  }

  dirtyRanges(bitmap: string, options?: OperationOptions): AsyncIterableIterator<Range, undefined, undefined> {
    return new BatchIterator(() => this.#onDemand('dirtyRanges', [bitmap, options]));
  }

  write(offset: number, bytes: Uint8Array): Promise<void> {
    return this.#change((changes) => changes.write(offset, bytes));
  }

  writeBatch(transfers: readonly Transfer[]): Promise<void> {
    return this.#change((changes) => changes.writeBatch(transfers));
  }

  writeZeroes(offset: number, length: number, options?: WriteZeroesOptions): Promise<void> {
    return this.#change((changes) => changes.writeZeroes(offset, length, options));
  }

  discard(offset: number, length: number): Promise<void> {
    return this.#change((changes) => changes.discard(offset, length));
  }

  async flush(): Promise<void> {
    this.#requireOpen();
    this.#opened.write?.writer.requireSoundToFlush();
    await this.#opened.write?.writer.flush();
  }

  writable(options?: WritableOptions): WritableStream<Uint8Array> {
    return this.#writing().changes.writable(this, options);
  }

  /**
   * As {@link read}, but synchronous. Refused if the source is asynchronous, even when `withCache` has all needed
   * blocks: whether it works depends on the source, not on earlier reads.
   *
   * @throws {@link Qcow2Error} `not-synchronous`, before anything is read, when a source of the chain is asynchronous
   *   or another request is running, and as {@link read}.
   */
  readSync(offset: number, into: Uint8Array): void {
    this.#alive();
    this.#synchronous().read(this.#opened, offset, into);
  }

  /**
   * As {@link write}, but synchronous.
   *
   * @throws {@link Qcow2Error} `not-synchronous`, before anything is written, when a source of the chain is
   *   asynchronous or another request is running, and as {@link write}.
   */
  writeSync(offset: number, bytes: Uint8Array): void {
    const { changes, writer } = this.#writing();
    this.#synchronous().change(this.#opened, writer, () => changes.write(offset, bytes));
  }

  /**
   * As {@link flush}, but synchronous.
   *
   * @throws {@link Qcow2Error} `not-synchronous`, before anything is flushed, when a source of the chain is
   *   asynchronous or another request is running, and as {@link flush}.
   */
  flushSync(): void {
    this.#requireOpen();
    const writer = this.#opened.write?.writer;
    if (writer === undefined) return;
    writer.requireSoundToFlush();
    this.#synchronous().change(this.#opened, writer, () => writer.flush());
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      await this.#opened.write?.writer.close();
    } catch (error) {
      // The error of the flush, which means lost writes, takes precedence over an error of the release.
      await this.#release().catch(() => {});
      throw error;
    }
    await this.#release();
  }

  async #release(): Promise<void> {
    const { layer, write, repair, owned } = this.#opened;
    layer.views.delete(layer);
    write?.release();
    await repair?.release();
    await closeAll(owned);
  }

  #change(change: (changes: Changes) => Done): Promise<void> {
    try {
      return change(this.#writing().changes) ?? DONE;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #writing(): Writing {
    this.#alive();
    const { write } = this.#opened;
    if (write !== null) return write;
    throw new Qcow2Error(
      'read-only',
      this.#viewed ? 'The disk of a snapshot cannot be changed.' : "Open the image with mode 'readwrite' to change it.",
    );
  }

  /** Calls a method whose code is loaded then. */
  async #onDemand<T>(method: keyof OnDemand, args: readonly unknown[]): Promise<T> {
    this.#alive();
    const methods = await import('./verbs/on-demand.js');
    this.#alive();
    const call = methods[method] as (image: OpenImage, ...given: readonly unknown[]) => T | Promise<T>;
    return call(
      {
        opened: this.#opened,
        whole: (this.#viewed ?? this).#opened,
        alive: () => this.#alive(),
        writing: () => this.#writing(),
        view: (layer) => this.#view(layer),
        reread: (layer) => {
          this.#opened = { ...this.#opened, layer };
          this.#info = null;
        },
      },
      ...args,
    );
  }

  #view(layer: Qcow2Layer): Qcow2Image {
    return new Qcow2Image({ ...this.#opened, layer, write: null, repair: null, owned: [] }, this);
  }

  /** Executes synchronous requests. */
  #synchronous(): Synchronous {
    const { synchronous } = this.#opened;
    if (synchronous === null) throw notSynchronous({ what: 'image', depth: 0 });
    return synchronous;
  }

  /** Checks that the image can be used and, at the start of a method, the options that methods share. */
  #alive(options?: unknown): void {
    this.#requireOpen();
    requireOptions(options);
    this.#opened.write?.writer.requireSound();
  }

  #requireOpen(): void {
    if (this.#closing !== null) throw new Qcow2Error('closed', 'The image was closed.');
    if (this.#viewed !== null) this.#viewed.#alive();
  }
}

/** Defines the methods of the list, each by `call`. */
function defineOnDemand(
  prototype: Qcow2Image,
  call: (image: Qcow2Image, method: OnDemandMethod, args: readonly unknown[]) => Promise<unknown>,
): void {
  for (const method of ON_DEMAND) {
    const value = function (this: Qcow2Image, ...args: readonly unknown[]) {
      return call(this, method, args);
    };
    Object.defineProperty(prototype, method, { value, configurable: true, writable: true });
  }
}
