/** Hashes the guest's bytes. What reads as zeros is hashed without being read. */

import type { Done, Transfer } from '../api/device.js';
import type { DigestOptions, Hash, HashAlgorithm } from '../api/hash.js';
import { refuse } from '../arguments.js';
import { progressOf } from '../engine/async/progress.js';
import { isBytes } from '../engine/async/request-buffers.js';

import { yieldWhenDue } from '../engine/async/yield-to-event-loop.js';
import type { Qcow2Layer } from '../engine/layer/layer.js';
import { readGuest } from '../engine/read/execute.js';
import { mapBatches } from './map.js';
import { requireDigest } from './verb-arguments.js';

/** Bytes that are read at once, and zeros that are hashed at once. */
const CHUNK_BYTES = 1024 * 1024;

/** Consecutive guest bytes: all zeros, or to be read. */
interface Part {
  readonly start: number;
  length: number;
  readonly zero: boolean;
}

/** A chunk whose data is being read. */
interface Reading {
  readonly parts: readonly Part[];
  /** The bytes of the parts that are read, one behind the other. */
  readonly data: Uint8Array;
  readonly done: Done;
}

/**
 * The hash of all guest bytes of `layer`. `alive` throws when the image is no longer open.
 *
 * @throws TypeError for an argument of the wrong type or value; what reads and the map throw; the signal's reason.
 */
export async function digestDisk(
  layer: Qcow2Layer,
  algorithm: HashAlgorithm,
  alive: () => void,
  options: DigestOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  requireDigest(algorithm, options);
  const { signal } = options;
  const hash = await startHash(algorithm, options);
  const update = updater(hash, layer.size, alive, options);
  const maxBytes = Math.min(CHUNK_BYTES, layer.size);
  const zeros = new Uint8Array(maxBytes);
  // They take turns: one is filled while the other is hashed.
  let memory = new Uint8Array(maxBytes);
  let other = new Uint8Array(maxBytes);
  // The chunk that is being read while the one before it is hashed.
  let ahead: Reading | null = null;
  for await (const parts of chunksOf(layer, alive, signal)) {
    const next = startReading(layer, parts, memory, signal);
    if (ahead !== null) await hashChunk(ahead, zeros, update);
    ahead = next;
    [memory, other] = [other, memory];
  }
  if (ahead !== null) await hashChunk(ahead, zeros, update);
  const digest = hash.digest();
  if (!isBytes(digest)) refuse('The result of digest of createHash', 'a Uint8Array', digest);
  return new Uint8Array(digest);
}

async function startHash(algorithm: HashAlgorithm, { createHash, signal }: DigestOptions): Promise<Hash> {
  signal?.throwIfAborted();
  const create = createHash ?? (await import('../hashes/noble-hash.js')).nobleHash;
  const hash = create(algorithm);
  if (typeof hash?.update !== 'function' || typeof hash.digest !== 'function') {
    refuse('The result of createHash', 'an object with update and digest', hash);
  }
  return hash;
}

/** Returns a function that hashes bytes, reports them, and yields when it is due. */
function updater(hash: Hash, size: number, alive: () => void, options: DigestOptions): (bytes: Uint8Array) => Done {
  const progress = progressOf(options, 'digest', size);
  const yieldIfDue = yieldWhenDue();
  let hashed = 0;
  return (bytes) => {
    options.signal?.throwIfAborted();
    alive();
    hash.update(bytes);
    hashed += bytes.length;
    progress(hashed);
    return yieldIfDue();
  };
}

/** The disk in chunks with as much data as is read at once, in order and without gaps. */
async function* chunksOf(
  layer: Qcow2Layer,
  alive: () => void,
  signal: AbortSignal | undefined,
): AsyncGenerator<Part[], void, undefined> {
  let parts: Part[] = [];
  let free = CHUNK_BYTES;
  for await (const extents of mapBatches(layer, 0, layer.size, alive, { signal })) {
    for (const { start, length, zero } of extents) {
      const end = start + length;
      for (let at = start; at < end; ) {
        if (!zero && free === 0) {
          yield parts;
          parts = [];
          free = CHUNK_BYTES;
        }
        const part = { start: at, length: zero ? length : Math.min(free, end - at), zero };
        appendPart(parts, part);
        if (!zero) free -= part.length;
        at += part.length;
      }
    }
  }
  if (parts.length > 0) yield parts;
}

function appendPart(parts: Part[], next: Part): void {
  const last = parts.at(-1);
  if (last?.zero === next.zero) last.length += next.length;
  else parts.push(next);
}

/** Starts the read of a chunk's data into `data`: one request, whose ranges lie behind each other in memory. */
function startReading(
  layer: Qcow2Layer,
  parts: readonly Part[],
  data: Uint8Array,
  signal: AbortSignal | undefined,
): Reading {
  const ranges = parts.filter(({ zero }) => !zero);
  let used = 0;
  const transfers = ranges.map(({ start, length }): Transfer => {
    used += length;
    return { at: start, bytes: data.subarray(used - length, used) };
  });
  const done = transfers.length > 0 ? readGuest(layer, transfers, signal) : undefined;
  // A failure is thrown when the chunk is hashed; until then it has no other handler.
  done?.catch(() => {});
  return { parts, data, done };
}

async function hashChunk(
  { parts, data, done }: Reading,
  zeros: Uint8Array,
  update: (bytes: Uint8Array) => Done,
): Promise<void> {
  if (done !== undefined) await done;
  let used = 0;
  for (const { length, zero } of parts) {
    if (zero) {
      for (let left = length; left > 0; left -= zeros.length) await update(zeros.subarray(0, left));
    } else {
      await update(data.subarray(used, used + length));
      used += length;
    }
  }
}
