/** Devices that keep a log of every write, truncation and flush, in one order over all of them. */
import type { BlockDevice, Transfer } from '../../src/index.js';

/** One call of a device. Bytes are copies. */
export type LogEntry =
  | { readonly device: number; readonly kind: 'write'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly device: number; readonly kind: 'truncate'; readonly size: number }
  | { readonly device: number; readonly kind: 'flush' };

/** The log that several devices share: an image's, and its data file's. */
export class DeviceLog {
  readonly entries: LogEntry[] = [];
  readonly devices: RecordingDevice[] = [];

  /** A device that begins with a copy of `initial`, all of it on the medium. */
  add(initial: Uint8Array): RecordingDevice {
    const device = new RecordingDevice(this, this.devices.length, initial);
    this.devices.push(device);
    return device;
  }
}

/** A synchronous device in memory whose writes, truncations and flushes go to a log. */
export class RecordingDevice implements BlockDevice {
  #bytes: Uint8Array;
  #size: number;

  constructor(
    private readonly log: DeviceLog,
    readonly number: number,
    readonly initial: Uint8Array,
  ) {
    this.#bytes = initial.slice();
    this.#size = initial.length;
  }

  get size(): number {
    return this.#size;
  }

  read(transfers: readonly Transfer[]): void {
    for (const { at, bytes } of transfers) {
      const there = this.#bytes.subarray(Math.min(at, this.#size), Math.min(at + bytes.length, this.#size));
      bytes.set(there);
      bytes.fill(0, there.length);
    }
  }

  write(transfers: readonly Transfer[]): void {
    for (const { at, bytes } of transfers) {
      if (bytes.length === 0) continue;
      this.log.entries.push({ device: this.number, kind: 'write', at, bytes: bytes.slice() });
      this.#reach(at + bytes.length);
      this.#size = Math.max(this.#size, at + bytes.length);
      this.#bytes.set(bytes, at);
    }
  }

  truncate(size: number): void {
    this.log.entries.push({ device: this.number, kind: 'truncate', size });
    this.#reach(size);
    if (size < this.#size) this.#bytes.fill(0, size, this.#size);
    this.#size = size;
  }

  flush(): void {
    this.log.entries.push({ device: this.number, kind: 'flush' });
  }

  #reach(size: number): void {
    if (size <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(size, this.#bytes.length * 2));
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}
