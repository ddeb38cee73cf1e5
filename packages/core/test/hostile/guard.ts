/** Owns the watch over the engine while it handles a hostile file: how much it reads, and how much memory it takes. */
import { vi } from 'vitest';
import type { ByteSource, Transfer } from '../../src/io/device.js';

/** More than anything the engine needs for the files of these tests: a few of the largest clusters. */
const ALLOCATION_LIMIT = 16 * 1024 * 1024;
/** The largest cluster: what a transfer may be longer than the file, since tables are read whole. */
const LARGEST_CLUSTER = 2 * 1024 * 1024;
/** Calls of `read` that no open, map and whole read of such a file needs: beyond it the engine goes round in circles. */
const CALL_LIMIT = 20_000;

type BufferConstructor = new (...args: unknown[]) => object;

/**
 * Puts watched constructors in place of the global ones while `work` runs: an allocation beyond the limit fails, with an error
 * that no test takes for an answer.
 */
export async function withAllocationsWatched<T>(work: () => Promise<T>): Promise<T> {
  for (const name of ['ArrayBuffer', 'Uint8Array', 'Int32Array', 'Uint32Array', 'Float64Array', 'Array'] as const) {
    vi.stubGlobal(name, watched(globalThis[name] as unknown as BufferConstructor));
  }
  try {
    return await work();
  } finally {
    vi.unstubAllGlobals();
  }
}

function watched(original: BufferConstructor): BufferConstructor {
  return new Proxy(original, {
    construct(target, args, newTarget) {
      const [length] = args;
      if (typeof length === 'number' && length > ALLOCATION_LIMIT) {
        throw new Error(`unbounded allocation: new ${target.name}(${length})`);
      }
      return Reflect.construct(target, args, newTarget);
    },
  });
}

/** A buffer as a source that notes what nobody may ask of it. Notes rather than throws: an engine may wrap what a source throws. */
export class GuardedSource implements ByteSource {
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
}
