/** What opening an image for changes consists of, and what carries the changes out. */
import type { BlockDevice, ByteSource } from '../../api/device.js';
import type { ImageInfo } from '../../api/info.js';
import type { Openable } from '../../api/openable.js';
import type { RepairOptions, RepairReport } from '../../api/repair-report.js';
import type { RwLock } from '../../engine/async/rw-lock.js';
import type { Qcow2Layer } from '../../engine/layer/layer.js';
import type { WaitTracker } from '../../engine/layer/wait-tracker.js';
import type { Writer } from '../../engine/write/writer.js';
import { requireDevice } from '../../sources/written-files.js';
import type { Changes } from '../changes.js';

/** What an image that is open for writing has beyond one that is only read. */
export interface Writing {
  readonly writer: Writer;
  /** The image's present information. */
  readonly info: () => ImageInfo;
  readonly changes: Changes;
  /** Releases the files, so that another image may write to them. */
  release(): void;
}

/** What repairs an image that was opened for it. */
export interface Repairing {
  /** Incremented by every repair: the image's information may be another then. */
  readonly revision: number;
  /**
   * Repairs the image. Repairs run one after the other. `onReread` gets the layer with the tables that are on the
   * medium then, also when the repair fails.
   *
   * @throws what the repair throws.
   */
  repair(layer: Qcow2Layer, options: RepairOptions, onReread: (layer: Qcow2Layer) => void): Promise<RepairReport>;
  /** Lets another image change the file, once a running repair has ended. */
  release(): Promise<void>;
}

/** The opening of an image that will be changed. From the start, no other image of this process can change its file. */
export interface Opening {
  /** The lock for the requests of an image that is open for writing; null for repair. */
  readonly lock: RwLock | null;
  /** What is opened in place of the device; null for the device itself. */
  readonly view: ByteSource | null;
  /**
   * Returns what carries out the changes. `dataFile` is the image's external data file, if it was opened.
   *
   * @throws what the change needs and does not have.
   */
  finish(
    layer: Qcow2Layer,
    dataFile: Openable | null,
    waitTracker: WaitTracker,
  ): Promise<{ readonly write?: Writing; readonly repair?: Repairing }>;
  /** Releases the files. */
  release(): void;
}

/**
 * Returns an openable that can be written.
 *
 * @throws TypeError for any other.
 */
export function deviceOf(openable: Openable, what: string): BlockDevice {
  requireDevice(`The ${what}`, openable);
  return openable;
}
