/** The types of hashing: algorithms, a hash in progress, and the options of a digest. */
import type { OperationOptions } from './options.js';

/** The algorithms of `digest`, by their names in the Web Cryptography API. */
export type HashAlgorithm = 'SHA-1' | 'SHA-256';

/** A hash in progress. The `Hash` of `node:crypto` is one. */
export interface Hash {
  /** Adds bytes. They are used before it returns: the memory is filled anew for the next call. */
  update(bytes: Uint8Array): unknown;
  /** Returns the hash of all bytes that were added. Called once, at the end. */
  digest(): Uint8Array;
}

/** Options of a digest by `Qcow2Image`. */
export interface DigestOptions extends OperationOptions {
  /**
   * Starts a hash, in place of `@noble/hashes`, which is not loaded then. `nodeHash` of `qcow2/node` is one. The
   * hash must be incremental, so `crypto.subtle` cannot serve: it takes all bytes at once.
   */
  createHash?: ((algorithm: HashAlgorithm) => Hash) | undefined;
}
