/** Owns the public handle of an open image: short methods that check their arguments and delegate. */
import { Qcow2Error } from './errors.js';
import type { BlockDevice } from './io/device.js';
import { readPieces } from './io/execute.js';
import { closeAll, type OpenedImage, openImage } from './open.js';
import type {
  BitmapInfo,
  CreateOptions,
  Disk,
  Extent,
  ImageInfo,
  ImageReference,
  ImageStats,
  Openable,
  OpenOptions,
  OperationOptions,
  Range,
  Resolved,
  SnapshotInfo,
} from './options.js';
import { ExtentIterator } from './verbs/extents.js';
import { imageInfo } from './verbs/info.js';
import { readableOf } from './verbs/readable.js';

/** What a read that never had to wait answers. */
const DONE: Promise<void> = Promise.resolve();

/** An open qcow2 image. */
export class Qcow2Image implements Disk {
  /** Virtual size, bytes. */
  readonly size: number;
  /** Everything the image says of itself; plain and structured-cloneable. */
  readonly info: ImageInfo;
  /** Closes the image, for `await using`; there only where the platform knows the symbol. */
  declare readonly [Symbol.asyncDispose]: () => Promise<void>;
  readonly #opened: OpenedImage;
  #closing: Promise<void> | null = null;

  static {
    // Not a method: where the symbol is missing, the method would be named "undefined".
    if (Symbol.asyncDispose !== undefined) {
      const value = function (this: Qcow2Image) {
        return this.close();
      };
      Object.defineProperty(Qcow2Image.prototype, Symbol.asyncDispose, { value });
    }
  }

  private constructor(opened: OpenedImage) {
    this.#opened = opened;
    this.size = opened.layer.size;
    this.info = imageInfo(opened.layer);
  }

  /**
   * Opens an image for reading. Reads the header, the L1 table and, where there are any, the snapshot table and the
   * bitmap directory; never writes.
   *
   * @throws {@link Qcow2Error} `not-qcow2`, `unsupported` or `corrupt` with the place in `details`, `changed` or `io` from
   *   the source; TypeError when `source` is nothing that can be opened; the signal's reason when it aborts.
   */
  static async open(source: Openable, options?: OpenOptions): Promise<Qcow2Image> {
    return new Qcow2Image(await openImage(source, options));
  }

  /**
   * Makes an empty image on `device`, over whatever it holds, and opens it. Everything but the header is written and flushed
   * first, so that a crash leaves no image rather than half of one. The device stays the caller's.
   *
   * @throws RangeError for a value that no image can have, TypeError for options that exclude each other, both before anything
   *   is changed; {@link Qcow2Error} `reference-refused` when `resolve` does not hand over the data file as a device; what the
   *   device throws; the signal's reason when it aborts.
   */
  static async create(
    device: BlockDevice,
    options: CreateOptions & Pick<OpenOptions, 'resolve' | 'cache'>,
  ): Promise<Qcow2Image> {
    const { createImage } = await import('./create.js');
    const dataFile = await createImage(device, options);
    const { signal, cache } = options;
    const resolve = async (reference: ImageReference): Promise<Resolved> => {
      const own = reference.kind === 'data' && reference.parent === null;
      return own ? dataFile : ((await options.resolve?.(reference)) ?? null);
    };
    return Qcow2Image.open(device, { signal, cache, resolve });
  }

  /** The internal snapshots, in the order of the table. */
  get snapshots(): readonly SnapshotInfo[] {
    return this.info.snapshots;
  }

  /** The persistent bitmaps; none when the image says that they are not to be trusted. */
  get bitmaps(): readonly BitmapInfo[] {
    return this.info.bitmaps;
  }

  /** Device calls and other figures since the image was opened. */
  get stats(): ImageStats {
    return { ...this.#opened.counters };
  }

  /**
   * Fills `into` with the guest's bytes from `offset` on.
   *
   * @throws {@link Qcow2Error} `out-of-range` past the end of the disk, `reference-refused` when a file that was not handed
   *   over is needed, `corrupt`, `unsupported`, `closed`, and what the source throws; RangeError for an offset that is no
   *   whole number from 0 on; TypeError when `into` is no Uint8Array; the signal's reason when it aborts.
   */
  read(offset: number, into: Uint8Array, options?: { signal?: AbortSignal | undefined }): Promise<void> {
    try {
      this.#alive();
      options?.signal?.throwIfAborted();
      if (!(into instanceof Uint8Array)) throw new TypeError('The buffer to read into must be a Uint8Array.');
      this.#inside(offset, into.length);
      return readPieces(this.#opened.layer, [{ offset, into }], options?.signal) ?? DONE;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Where every byte of the range comes from, as `qemu-img map` says it: in order, without gaps, neighbours merged.
   *
   * @throws {@link Qcow2Error} `out-of-range`, `corrupt`, `closed`, and what the source throws; RangeError for a range that
   *   is none; the signal's reason when it aborts.
   */
  map(range?: Range, options?: OperationOptions): AsyncIterableIterator<Extent, undefined, undefined> {
    return new ExtentIterator(async () => {
      this.#alive();
      const { start, end } = this.#range(range);
      const { mapBatches } = await import('./verbs/map.js');
      return mapBatches(this.#opened.layer, start, end, () => this.#alive(), options);
    });
  }

  /**
   * The first offset from `offset` on that may hold data; null when there is none.
   *
   * @throws as {@link map} does.
   */
  async seekData(offset: number): Promise<number | null> {
    this.#alive();
    this.#inside(offset, 0);
    const { seekData } = await import('./verbs/seek.js');
    return seekData(this.#opened.layer, offset, () => this.#alive());
  }

  /**
   * The first offset from `offset` on that certainly reads as zeros; null when there is none.
   *
   * @throws as {@link map} does.
   */
  async seekHole(offset: number): Promise<number | null> {
    this.#alive();
    this.#inside(offset, 0);
    const { seekHole } = await import('./verbs/seek.js');
    return seekHole(this.#opened.layer, offset, () => this.#alive());
  }

  /**
   * The guest's bytes as a stream: a byte stream where the platform has them. Errors as {@link read} does.
   *
   * @throws {@link Qcow2Error} `out-of-range` or `closed`; RangeError for a range that is none.
   */
  readable(range?: Range, options?: OperationOptions): ReadableStream<Uint8Array<ArrayBuffer>> {
    this.#alive();
    const { start, end } = this.#range(range);
    return readableOf(this.#opened.layer, start, end, () => this.#alive(), options);
  }

  /** Lets go of the image and of every file that opening it opened. A second call waits for the first. */
  close(): Promise<void> {
    this.#closing ??= closeAll(this.#opened.owned);
    return this.#closing;
  }

  #alive(): void {
    if (this.#closing !== null) throw new Qcow2Error('closed', 'The image was closed.');
  }

  #range(range: Range | undefined): { start: number; end: number } {
    if (range === undefined) return { start: 0, end: this.size };
    this.#inside(range.start, range.length);
    return { start: range.start, end: range.start + range.length };
  }

  #inside(offset: number, length: number): void {
    if (!Number.isSafeInteger(offset) || offset < 0) {
      throw new RangeError(`An offset must be a whole number of bytes from 0 on, not ${offset}.`);
    }
    if (!Number.isSafeInteger(length) || length < 0) {
      throw new RangeError(`A length must be a whole number of bytes from 0 on, not ${length}.`);
    }
    if (offset + length > this.size) {
      const message = `Bytes ${offset} to ${offset + length} were asked for; the disk ends at ${this.size}.`;
      throw new Qcow2Error('out-of-range', message, { what: 'request', at: offset, length, size: this.size });
    }
  }
}
