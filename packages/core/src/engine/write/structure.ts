/** What the verbs work with that change the structure of an open image: its size, and where its tables and data are. */
import type { Steps } from '../async/steps.js';
import type { Qcow2Layer } from '../layer/layer.js';
import type { WriteState } from './write-state.js';
import type { WriteSteps } from './write-steps.js';
import type { ZeroSteps } from './zero-steps.js';

/** An image whose structure is being changed. */
export interface Structure {
  readonly layer: Qcow2Layer;
  readonly state: WriteState;
  readonly writes: WriteSteps;
  readonly zeros: ZeroSteps;
  /** Aborts with the caller's signal, and when the image is closed. */
  readonly signal: AbortSignal;
  /**
   * Runs steps with the exclusive lock. Other requests run before and after it, so what is read in one slice may be
   * different in the next.
   *
   * @throws what the steps throw; the signal's reason when it has aborted.
   */
  slice<T>(steps: () => Steps<T>): Promise<T>;
}
