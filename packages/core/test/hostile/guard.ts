/** Owns the watch over the engine while it handles a hostile file: how much it reads, and how much memory it takes. */
import { vi } from 'vitest';
import type { BlockDevice, Transfer } from '../../src/api/device.js';
// Loaded before the constructors are replaced: fflate keeps those that it finds, for all later tests of the process.
import '../../src/codecs/deflate.js';

/** More than anything the engine needs for small files: a few of the largest clusters. For large ones, their length. */
const ALLOCATION_LIMIT = 16 * 1024 * 1024;
/** The largest cluster: what a transfer may be longer than the file, since tables are read whole. */
const LARGEST_CLUSTER = 2 * 1024 * 1024;
/**
 * Calls of `read` that no open, map and whole read of such a file needs: beyond it the engine goes round in circles.
 */
const CALL_LIMIT = 20_000;

type BufferConstructor = new (...args: unknown[]) => object;

/**
 * Puts watched constructors in place of the global ones while `work` runs: an allocation beyond the limit fails, with
 * an error that no test takes for an answer. `fileBytes` is the length of the file at hand.
 */
export async function withAllocationsWatched<T>(work: () => Promise<T>, fileBytes = 0): Promise<T> {
  const limit = Math.max(ALLOCATION_LIMIT, fileBytes + LARGEST_CLUSTER);
  for (const name of ['ArrayBuffer', 'Uint8Array', 'Int32Array', 'Uint32Array', 'Float64Array', 'Array'] as const) {
    vi.stubGlobal(name, watched(globalThis[name] as unknown as BufferConstructor, limit));
  }
  try {
    return await work();
  } finally {
    vi.unstubAllGlobals();
  }
}

function watched(original: BufferConstructor, limit: number): BufferConstructor {
  return new Proxy(original, {
    construct(target, args, newTarget) {
      const [length] = args;
      if (typeof length === 'number' && length > limit) {
        throw new Error(`unbounded allocation: new ${target.name}(${length})`);
      }
      return Reflect.construct(target, args, newTarget);
    },
  });
}

/**
 * A buffer as a source that notes what nobody may ask of it. Notes rather than throws: an engine may wrap what a source
 * throws.
 */
export class GuardedSource implements BlockDevice {
  readonly size: number;
  readonly violations: string[] = [];
  private calls = 0;

  /** `size` makes the file longer than its bytes: the rest is zeros, as in a sparse file. */
  constructor(
    private readonly file: Uint8Array,
    size: number = file.length,
  ) {
    this.size = size;
  }

  read(transfers: readonly Transfer[]): void {
    this.calls++;
    if (this.calls === CALL_LIMIT) this.violations.push(`more than ${CALL_LIMIT} reads`);
    if (this.calls >= CALL_LIMIT) throw new Error('reads without end');
    for (const { at, bytes } of transfers) {
      if (!Number.isSafeInteger(at) || at < 0) this.violations.push(`read at ${at}`);
      if (bytes.length > this.file.length + LARGEST_CLUSTER)
        this.violations.push(`read of ${bytes.length} bytes at ${at}`);
      const there = this.file.subarray(at, at + bytes.length);
      bytes.set(there);
      bytes.fill(0, there.length);
    }
  }

  /** It could be written to; an image that is opened for reading never does. */
  write(): void {
    this.violations.push('a write');
  }

  truncate(): void {
    this.violations.push('a change of length');
  }

  flush(): void {
    this.violations.push('a flush');
  }
}
