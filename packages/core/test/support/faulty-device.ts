/** A device that records its calls, and fails at the call that the test chooses. */
import type { BlockDevice, Done, Transfer } from '../../src/index.js';

/** The calls of a device. */
export type Call = 'read' | 'write' | 'flush' | 'truncate';

/** One call: its kind, and the numbers of its transfers and bytes. */
export interface Called {
  readonly call: Call;
  readonly transfers: number;
  readonly bytes: number;
}

/** A failure to come. */
export interface Fault {
  readonly call: Call;
  /** Which call of that kind fails, from 0 on; those that follow fail as well, as those of a broken disk would. */
  readonly nth: number;
  readonly error: Error;
  /** Rejects instead of throwing. */
  readonly promised: boolean;
  /** How much of a failing write is on the medium all the same: as a share of its transfers. */
  readonly done?: number;
}

/** A device over another. */
export class FaultyDevice implements BlockDevice {
  readonly calls: Called[] = [];
  fault: Fault | null = null;
  /** True once the fault has occurred. */
  failed = false;
  readonly #device: BlockDevice;
  readonly #counts: Record<Call, number> = { read: 0, write: 0, flush: 0, truncate: 0 };

  constructor(device: BlockDevice) {
    this.#device = device;
  }

  get size(): number {
    return this.#device.size;
  }

  read(transfers: readonly Transfer[], signal?: AbortSignal): Done {
    return this.#call('read', transfers, () => this.#device.read(transfers, signal));
  }

  write(transfers: readonly Transfer[]): Done {
    return this.#call('write', transfers, (part) => this.#device.write(part));
  }

  truncate(size: number): Done {
    return this.#call('truncate', [], () => this.#device.truncate(size));
  }

  flush(): Done {
    return this.#call('flush', [], () => this.#device.flush());
  }

  #call(call: Call, transfers: readonly Transfer[], work: (transfers: readonly Transfer[]) => Done): Done {
    // An empty batch only asks whether the device makes its caller wait.
    if (transfers.length === 0 && (call === 'read' || call === 'write')) return work(transfers);
    this.calls.push({
      call,
      transfers: transfers.length,
      bytes: transfers.reduce((sum, { bytes }) => sum + bytes.length, 0),
    });
    const count = this.#counts[call]++;
    const { fault } = this;
    if (fault === null || fault.call !== call || count < fault.nth) return work(transfers);
    this.failed = true;
    if (call === 'write') work(transfers.slice(0, Math.floor((fault.done ?? 0) * transfers.length)));
    if (fault.promised) return Promise.reject(fault.error);
    throw fault.error;
  }
}
