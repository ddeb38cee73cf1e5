/** Hashes with `@noble/hashes`: pure JavaScript, for every runtime. Loaded with the first digest that needs it. */
import { sha1 } from '@noble/hashes/legacy.js';
import { sha256 } from '@noble/hashes/sha2.js';
import type { Hash, HashAlgorithm } from '../api/hash.js';

/** Starts a hash. */
export function nobleHash(algorithm: HashAlgorithm): Hash {
  return algorithm === 'SHA-1' ? sha1.create() : sha256.create();
}
