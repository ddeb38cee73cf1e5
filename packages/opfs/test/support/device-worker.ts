/** The entry of a worker that serves OpfsDevices over real OPFS files to the device suite on the page. */
import { expose } from 'comlink';
import type { Outcome } from '../../src/protocol/messages.js';
import { outcomeOf } from '../../src/worker/calls/running-calls.js';
import { OpfsDevice } from '../../src/worker/storage/opfs-device.js';
import { openSyncHandle } from '../../src/worker/storage/sync-handle.js';

/** What every call answers: the length that the device then has, and what was read. */
export interface DeviceAnswer {
  readonly size: number;
  readonly read?: readonly Uint8Array<ArrayBuffer>[];
}

const devices = new Map<string, OpfsDevice>();

/** What the page calls. */
export const deviceWorker = {
  open: (name: string): Promise<Outcome<DeviceAnswer>> =>
    outcomeOf(async () => {
      const root = await navigator.storage.getDirectory();
      const handle = await openSyncHandle(await root.getFileHandle(name, { create: true }));
      const device = new OpfsDevice(handle!);
      devices.set(name, device);
      return { size: device.size };
    }),
  read: (name: string, runs: readonly { at: number; length: number }[]): Promise<Outcome<DeviceAnswer>> =>
    outcomeOf(async () => {
      const device = devices.get(name)!;
      const transfers = runs.map(({ at, length }) => ({ at, bytes: new Uint8Array(length).fill(0xee) }));
      device.read(transfers);
      return { size: device.size, read: transfers.map(({ bytes }) => bytes) };
    }),
  write: (name: string, runs: readonly { at: number; bytes: Uint8Array }[]): Promise<Outcome<DeviceAnswer>> =>
    withDevice(name, (device) => device.write(runs)),
  truncate: (name: string, size: number): Promise<Outcome<DeviceAnswer>> =>
    withDevice(name, (device) => device.truncate(size)),
  flush: (name: string): Promise<Outcome<DeviceAnswer>> => withDevice(name, (device) => device.flush()),
  close: (name: string): Promise<Outcome<DeviceAnswer>> => withDevice(name, (device) => device.close()),
};

function withDevice(name: string, use: (device: OpfsDevice) => void): Promise<Outcome<DeviceAnswer>> {
  return outcomeOf(async () => {
    const device = devices.get(name)!;
    use(device);
    return { size: device.size };
  });
}

expose(deviceWorker);
