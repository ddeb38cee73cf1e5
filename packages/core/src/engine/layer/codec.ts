/** The interface between the engine and the decompressors. */
import type { Done } from '../../api/device.js';

/** One compressed cluster: inflate `input` to exactly fill `output`. */
export interface InflateJob {
  readonly input: Uint8Array;
  readonly output: Uint8Array;
  /** Host offset of the input, bytes, for errors. */
  readonly at: number;
}

/** A decompressor of clusters. */
export interface Codec {
  /**
   * Inflates a batch of clusters, synchronously or, in a pool of workers, with a promise. Bytes after a stream in
   * `input` are ignored.
   *
   * @throws {@link Qcow2Error} `corrupt` when a stream is damaged, or gives more or less than its output.
   */
  inflate(jobs: readonly InflateJob[], signal?: AbortSignal): Done;
}
