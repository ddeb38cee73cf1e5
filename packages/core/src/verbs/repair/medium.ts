/** The file under repair: a device, or for a dry run a source whose changes stay in memory. */
import type { BlockDevice, ByteSource, Transfer } from '../../api/device.js';

/** A file that a repair reads and changes. */
export interface Medium extends ByteSource {
  /** How often it was written to: while this stays the same, so do its bytes. */
  readonly writes: number;
  write(transfers: readonly Transfer[]): Promise<void>;
  /** Marks the image before its first change; a header that was read before lacks the mark. */
  beforeChange(): Promise<void>;
  /** Copies bytes within the file. */
  copy(from: number, to: number, length: number): Promise<void>;
  flush(): Promise<void>;
}

/** A device under repair. */
export class DeviceMedium implements Medium {
  readonly #device: BlockDevice;
  #unflushed = false;
  #writes = 0;

  constructor(device: BlockDevice) {
    this.#device = device;
  }

  get size(): number {
    return this.#device.size;
  }

  get writes(): number {
    return this.#writes;
  }

  async read(transfers: readonly Transfer[], signal?: AbortSignal): Promise<void> {
    await this.#device.read(transfers, signal);
  }

  async write(transfers: readonly Transfer[]): Promise<void> {
    if (transfers.length === 0) return;
    this.#unflushed = true;
    this.#writes++;
    await this.#device.write(transfers);
  }

  async copy(from: number, to: number, length: number): Promise<void> {
    const bytes = new Uint8Array(length);
    await this.#device.read([{ at: from, bytes }]);
    await this.write([{ at: to, bytes }]);
  }

  async beforeChange(): Promise<void> {}

  async flush(): Promise<void> {
    if (!this.#unflushed) return;
    await this.#device.flush();
    this.#unflushed = false;
  }
}

/** A medium that is marked before its first change. */
export class MarkedMedium implements Medium {
  readonly #medium: Medium;
  #mark: (() => Promise<void>) | null;

  /** `mark` marks the medium itself, and flushes. */
  constructor(medium: Medium, mark: () => Promise<void>) {
    this.#medium = medium;
    this.#mark = mark;
  }

  get size(): number {
    return this.#medium.size;
  }

  get writes(): number {
    return this.#medium.writes;
  }

  async read(transfers: readonly Transfer[], signal?: AbortSignal): Promise<void> {
    await this.#medium.read(transfers, signal);
  }

  async write(transfers: readonly Transfer[]): Promise<void> {
    if (transfers.length === 0) return;
    await this.beforeChange();
    await this.#medium.write(transfers);
  }

  async copy(from: number, to: number, length: number): Promise<void> {
    await this.beforeChange();
    await this.#medium.copy(from, to, length);
  }

  flush(): Promise<void> {
    return this.#medium.flush();
  }

  async beforeChange(): Promise<void> {
    const mark = this.#mark;
    this.#mark = null;
    await mark?.();
  }
}

/** The unit in which changes are kept in memory, bytes. */
const PAGE = 4096;

/** A source with changes in memory. A copy of guest data only lengthens it: no check reads such bytes. */
export class OverlayMedium implements Medium {
  readonly #source: ByteSource;
  readonly #pages = new Map<number, Uint8Array>();
  #size: number;
  #writes = 0;

  constructor(source: ByteSource) {
    this.#source = source;
    this.#size = source.size;
  }

  /** That of its source: both are the same file. */
  get identity(): object | string | undefined {
    return this.#source.identity ?? this.#source;
  }

  /** Also what the source has grown to: an image is read through this while its device is repaired. */
  get size(): number {
    return Math.max(this.#size, this.#source.size);
  }

  get writes(): number {
    return this.#writes;
  }

  async read(transfers: readonly Transfer[], signal?: AbortSignal): Promise<void> {
    await this.#source.read(transfers, signal);
    for (const transfer of transfers) {
      for (const { index, within, bytes } of pagesOf(transfer)) {
        const page = this.#pages.get(index);
        if (page !== undefined) bytes.set(page.subarray(within, within + bytes.length));
      }
    }
  }

  async write(transfers: readonly Transfer[]): Promise<void> {
    if (transfers.length > 0) this.#writes++;
    for (const transfer of transfers) {
      this.#size = Math.max(this.#size, transfer.at + transfer.bytes.length);
      for (const { index, within, bytes } of pagesOf(transfer)) {
        const page = this.#pages.get(index) ?? (await this.#pageOf(index, bytes.length));
        page.set(bytes, within);
        this.#pages.set(index, page);
      }
    }
  }

  async copy(_from: number, to: number, length: number): Promise<void> {
    this.#size = Math.max(this.#size, to + length);
    this.#writes++;
  }

  async beforeChange(): Promise<void> {}

  async flush(): Promise<void> {}

  /** The page's present bytes; all of it will be overwritten when `length` is a page. */
  async #pageOf(index: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(PAGE);
    if (length < PAGE) await this.#source.read([{ at: index * PAGE, bytes }]);
    return bytes;
  }
}

/** Bytes of a transfer in one page. */
interface PagePart {
  /** The page's number. */
  readonly index: number;
  /** Where in the page they begin. */
  readonly within: number;
  readonly bytes: Uint8Array;
}

/** The parts of a transfer, page by page. */
function* pagesOf({ at, bytes }: Transfer): Generator<PagePart, void, undefined> {
  for (let done = 0; done < bytes.length; ) {
    const within = (at + done) % PAGE;
    const length = Math.min(PAGE - within, bytes.length - done);
    yield { index: Math.floor((at + done) / PAGE), within, bytes: bytes.subarray(done, done + length) };
    done += length;
  }
}
