/** Owns a device that makes its caller wait: each call is carried out after a while, now a microtask, now a timer. */
import type { BlockDevice, ByteSource, Transfer } from '../../src/index.js';

/**
 * A device over another one that promises everything; `next` gives numbers from 0 on, which decide how long each call
 * takes.
 */
export class SlowDevice implements BlockDevice {
  readonly #device: BlockDevice;
  readonly #next: () => number;

  constructor(device: BlockDevice, next: () => number) {
    this.#device = device;
    this.#next = next;
  }

  get size(): number {
    return this.#device.size;
  }

  async read(transfers: readonly Transfer[], signal?: AbortSignal): Promise<void> {
    await this.#while();
    await this.#device.read(transfers, signal);
  }

  async write(transfers: readonly Transfer[]): Promise<void> {
    await this.#while();
    await this.#device.write(transfers);
  }

  async truncate(size: number): Promise<void> {
    await this.#while();
    await this.#device.truncate(size);
  }

  async flush(): Promise<void> {
    await this.#while();
    await this.#device.flush();
  }

  async #while(): Promise<void> {
    const turns = this.#next() % 8;
    if (turns === 7) await new Promise((resolve) => setTimeout(resolve, 0));
    else for (let turn = 0; turn < turns; turn++) await null;
  }
}

/** A source that can only be read, and promises. */
export function slowSource(bytes: Uint8Array): ByteSource {
  return {
    size: bytes.length,
    async read(transfers) {
      await null;
      for (const { at, bytes: into } of transfers) {
        into.fill(0);
        into.set(bytes.subarray(at, at + into.length));
      }
    },
  };
}
