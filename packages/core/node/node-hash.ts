/** Hashes with `node:crypto`, several times as fast as JavaScript. */
import { createHash } from 'node:crypto';
import type { Hash, HashAlgorithm } from '../src/index.js';
import { requireOneOf } from '../src/internal.js';

/** The names of OpenSSL. */
const NAMES: Readonly<Record<HashAlgorithm, string>> = { 'SHA-1': 'sha1', 'SHA-256': 'sha256' };

/**
 * Starts a hash of `node:crypto`, for the option `createHash` of `Qcow2Image.digest`.
 *
 * @throws TypeError for another algorithm
 *
 * @example
 * ```ts
 * import { nodeHash } from 'qcow2/node';
 *
 * const hash = await image.digest('SHA-256', { createHash: nodeHash });
 * console.log(Buffer.from(hash).toString('hex'));
 * ```
 */
export function nodeHash(algorithm: HashAlgorithm): Hash {
  requireOneOf('algorithm', algorithm, Object.keys(NAMES));
  return createHash(NAMES[algorithm]);
}
