/** Devices and a source that promise what another one does at once: later, in a way that the test chooses. */
import type { BlockDevice, ByteSource, Done, Transfer } from '../../src/index.js';

/** Carries out a call of a device later, or at once. */
export type Later = (work: () => Done) => Done;

/** The calls of a device that are carried out later; the others are done at once. */
export interface LaterCalls {
  readonly read?: Later;
  readonly write?: Later;
  readonly truncate?: Later;
  readonly flush?: Later;
}

const synchronously: Later = (work) => work();

/** A device over another one, some of whose calls are carried out later. */
export class LaterDevice implements BlockDevice {
  readonly #device: BlockDevice;
  readonly #later: LaterCalls;

  constructor(device: BlockDevice, later: LaterCalls) {
    this.#device = device;
    this.#later = later;
  }

  get size(): number {
    return this.#device.size;
  }

  read(transfers: readonly Transfer[], signal?: AbortSignal): Done {
    const { read = synchronously } = this.#later;
    return read(() => this.#device.read(transfers, signal));
  }

  write(transfers: readonly Transfer[]): Done {
    const { write = synchronously } = this.#later;
    return write(() => this.#device.write(transfers));
  }

  truncate(size: number): Done {
    const { truncate = synchronously } = this.#later;
    return truncate(() => this.#device.truncate(size));
  }

  flush(): Done {
    const { flush = synchronously } = this.#later;
    return flush(() => this.#device.flush());
  }
}

/** Carries out a call after so many milliseconds. */
export function afterMs(milliseconds: number): Later {
  return async (work) => {
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    await work();
  };
}

/** Carries out a call after some microtasks, up to six, or after a timer; `next` gives numbers from 0 on. */
function afterSome(next: () => number): Later {
  return async (work) => {
    const waits = next() % 8;
    if (waits === 7) await new Promise((resolve) => setTimeout(resolve, 0));
    else for (let wait = 0; wait < waits; wait++) await null;
    await work();
  };
}

/**
 * A device that promises everything; `next` gives numbers from 0 on, which decide how long each call takes: so many
 * microtasks, or with 7 a timer, modulo 8.
 */
export class SlowDevice extends LaterDevice {
  constructor(device: BlockDevice, next: () => number) {
    const later = afterSome(next);
    super(device, { read: later, write: later, truncate: later, flush: later });
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
