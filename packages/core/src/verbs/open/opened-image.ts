/** What an open image consists of. */
import type { ByteSource } from '../../api/device.js';
import type { Counters } from '../../engine/layer/counting-source.js';
import type { Qcow2Layer } from '../../engine/layer/layer.js';
import type { WaitTracker } from '../../engine/layer/wait-tracker.js';
import type { Repairing, Writing } from './opening.js';

/** The module that implements the synchronous forms. */
export type Synchronous = typeof import('../../engine/read/synchronous.js');

/** An open image: its layers, and the sources that are closed with it. */
export interface OpenedImage {
  readonly layer: Qcow2Layer;
  /** Null when the image was opened for reading. */
  readonly write: Writing | null;
  /** Null when the image was not opened for repair. */
  readonly repair: Repairing | null;
  readonly counters: Counters;
  readonly waitTracker: WaitTracker;
  /** Null when the image's own file is asynchronous: then there are no synchronous forms. */
  readonly synchronous: Synchronous | null;
  /** The sources that were created while opening, or returned by `resolve`. */
  readonly owned: readonly ByteSource[];
}
