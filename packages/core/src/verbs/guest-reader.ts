/** Reads guest bytes in order for a stream. Loaded with the first chunk. */

import type { Done } from '../api/device.js';
import type { SalvageOptions } from '../api/options.js';
import { progressOf } from '../engine/async/progress.js';
import type { Qcow2Layer } from '../engine/layer/layer.js';
import { readGuest } from '../engine/read/execute.js';
import type { SalvagedReads } from './salvage/salvaged-reads.js';

/** Bytes of one read when the consumer passes no buffer. */
const CHUNK_BYTES = 1024 * 1024;
/** Concurrent reads of an asynchronous source: a Blob serves several in the time of one. */
const READ_AHEAD = 4;

type Chunk = Uint8Array<ArrayBuffer>;

/** Reads a range in order: synchronously where the source is synchronous, else a few chunks ahead. */
export class GuestReader {
  readonly #layer: Qcow2Layer;
  readonly #limit: number;
  readonly #alive: () => void;
  readonly #options: SalvageOptions | undefined;
  readonly #progress: (done: number) => void;
  readonly #start: number;
  /** The offset of the next read, and of the next byte for the consumer. */
  #next: number;
  #delivered: number;
  readonly #ahead: Promise<Chunk>[] = [];
  /** What reads past damage, loaded with the first chunk; null without `salvage`. */
  #salvaged: SalvagedReads | null = null;
  /** True once a read was asynchronous: from then on chunks are read ahead. */
  #isAsynchronous = false;

  constructor(layer: Qcow2Layer, start: number, end: number, alive: () => void, options: SalvageOptions | undefined) {
    this.#layer = layer;
    this.#start = start;
    this.#next = start;
    this.#delivered = start;
    this.#limit = end;
    this.#alive = alive;
    this.#options = options;
    this.#progress = progressOf(options, 'read', end - start);
  }

  /** Serves a byte stream: fills the consumer's own buffer, or enqueues a chunk that was read ahead. */
  async pullBytes(controller: ReadableByteStreamController): Promise<void> {
    if (this.#options?.salvage) await this.#loadSalvage();
    const request = controller.byobRequest!;
    if (this.#left > 0 && this.#isAsynchronous) {
      controller.enqueue(await this.#chunk());
    } else if (this.#left > 0) {
      const { buffer, byteOffset, byteLength } = request.view!;
      const length = Math.min(byteLength, this.#left);
      await this.#fill(new Uint8Array(buffer, byteOffset, length));
      request.respond(length);
    }
    if (this.#left > 0) return;
    controller.close();
    // A consumer gets the buffer that it passed back only by `respond`.
    controller.byobRequest?.respond(0);
  }

  /** Serves a default stream. */
  async pullChunk(controller: ReadableStreamDefaultController<Chunk>): Promise<void> {
    if (this.#options?.salvage) await this.#loadSalvage();
    if (this.#left > 0) controller.enqueue(await this.#chunk());
    if (this.#left === 0) controller.close();
  }

  async #loadSalvage(): Promise<void> {
    if (this.#salvaged !== null) return;
    const module = await import('./salvage/salvaged-reads.js');
    this.#salvaged = new module.SalvagedReads(this.#layer, this.#end, this.#alive, this.#options);
  }

  /** Where the stream ends: where it was to end, or at the end of a disk that has become shorter. */
  get #end(): number {
    return Math.max(this.#delivered, Math.min(this.#limit, this.#layer.size));
  }

  /** Bytes that were not passed to the consumer yet. */
  get #left(): number {
    return this.#end - this.#delivered;
  }

  /** Fills the consumer's own buffer. */
  async #fill(into: Uint8Array): Promise<void> {
    this.#check();
    const done = this.#request(this.#next, into);
    this.#next += into.length;
    if (done !== undefined) {
      this.#isAsynchronous = true;
      await done;
    }
    this.#deliver(into.length);
  }

  /** The next chunk. Starts the reads of the chunks after it. */
  async #chunk(): Promise<Chunk> {
    this.#check();
    while (this.#next < this.#end && this.#ahead.length < (this.#isAsynchronous ? READ_AHEAD : 1))
      this.#ahead.push(this.#read());
    const chunk = await this.#ahead.shift()!;
    this.#check();
    this.#deliver(chunk.length);
    return chunk;
  }

  #read(): Promise<Chunk> {
    const into = new Uint8Array(Math.min(CHUNK_BYTES, this.#end - this.#next));
    const offset = this.#next;
    this.#next += into.length;
    const chunk = this.#readInto(offset, into);
    // The failure is thrown when the chunk is consumed; until then it has no other handler.
    chunk.catch(() => {});
    return chunk;
  }

  async #readInto(offset: number, into: Chunk): Promise<Chunk> {
    const done = this.#request(offset, into);
    if (done !== undefined) {
      this.#isAsynchronous = true;
      await done;
    }
    return into;
  }

  #request(offset: number, into: Uint8Array): Done {
    if (this.#salvaged !== null) return this.#salvaged.read(offset, into);
    return readGuest(this.#layer, [{ at: offset, bytes: into }], this.#options?.signal);
  }

  #check(): void {
    this.#options?.signal?.throwIfAborted();
    this.#alive();
  }

  #deliver(length: number): void {
    this.#delivered += length;
    this.#salvaged?.delivering(this.#delivered);
    this.#progress(this.#delivered - this.#start);
  }
}
