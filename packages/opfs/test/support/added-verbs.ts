/**
 * Verbs that no image has, added to the table and to the engine of the realm that imports this: a worker, and the page
 * before it imports the package.
 */
import { type Disk, isQcow2Error, type OperationOptions, Qcow2Error, Qcow2Image, type Range } from 'qcow2';
import { packRanges, unpackRanges } from '../../src/protocol/packed-ranges.js';
import { VERBS, type VerbTable } from '../../src/protocol/verbs.js';

/** What the verbs of this test take and return. */
export interface AddedVerbs {
  /** Writes and flushes `bytes` at 0, and reports its progress; with `fail` it throws a typed error afterwards. */
  stamp(bytes: Uint8Array, options?: { fail?: boolean } & OperationOptions): Promise<{ stamped: number }>;
  /** Reports, then waits for its signal. */
  endure(options?: OperationOptions): Promise<void>;
  /** As many ranges as it is given, and what its options say. */
  count(ranges: number, options?: { from?: number } & OperationOptions): AsyncIterable<Range>;
}

const ROWS: Pick<VerbTable<Disk & AddedVerbs>, keyof AddedVerbs> = {
  stamp: { kind: 'change', arguments: 1, options: true, validate: () => {} },
  endure: { kind: 'value', arguments: 0, options: true, validate: () => {} },
  count: {
    kind: 'items',
    arguments: 1,
    options: true,
    packing: { pack: packRanges, unpack: unpackRanges },
    validate: () => {},
  },
};

const ENGINE: AddedVerbs & ThisType<Qcow2Image> = {
  async stamp(bytes, { fail, signal, onProgress } = {}) {
    onProgress?.({ phase: 'stamp', done: 0, total: bytes.length });
    await this.write(0, bytes);
    await this.flush();
    onProgress?.({ phase: 'stamp', done: bytes.length, total: bytes.length });
    signal?.throwIfAborted();
    if (fail) throw new Qcow2Error('unsupported', 'It was to fail.', { what: 'stamp', at: 7 });
    return { stamped: bytes.length };
  },
  endure({ signal, onProgress } = {}) {
    onProgress?.({ phase: 'endure', done: 0, total: 1 });
    return new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));
  },
  async *count(ranges, { from = 0, onProgress } = {}) {
    for (let index = 0; index < ranges; index++) yield { start: from + index, length: 1 };
    onProgress?.({ phase: 'count', done: ranges, total: ranges });
  },
};

Object.assign(VERBS, ROWS);
Object.assign(Qcow2Image.prototype, ENGINE);

/** Whether an error is the one that `stamp` throws. */
export function isStampError(error: unknown): boolean {
  return isQcow2Error(error, 'unsupported') && error.details.what === 'stamp' && error.details.at === 7;
}
