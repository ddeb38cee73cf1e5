/** Every method that all images share, with wrong arguments: in the engine, and across the worker. */
import type { Disk } from '../../src/index.js';
import { type SharedOption, type WrongCall, wrongCalls, wrongOptions } from './wrong-arguments.js';

const OPERATION: readonly SharedOption[] = ['signal', 'onProgress'];
const SALVAGE: readonly SharedOption[] = [...OPERATION, 'salvage', 'onLost'];

type Calls = readonly WrongCall<Disk>[];

/** Of a disk that is open for reading, or for writing. */
export const READING: Calls = [
  ...wrongCalls<Disk>('read', 'offset', 'size', (disk, offset) => disk.read(offset, new Uint8Array(1))),
  ...wrongCalls<Disk>('read into', 'buffer', 'bytes', (disk, into) => disk.read(0, into)),
  ...[-1, 0.5, Number.NaN].map((length) => ({
    method: 'read of a length',
    name: 'length',
    value: length,
    refusal: RangeError,
    call: (disk: Disk) => disk.read(0, length),
  })),
  ...wrongOptions<Disk>('read into', ['signal'], (disk, options) => disk.read(0, new Uint8Array(1), options)),
  ...wrongOptions<Disk>('read of a length', ['signal'], (disk, options) => disk.read(0, 1, options)),
  ...wrongCalls<Disk>('readBatch', 'transfers', 'batch', (disk, batch) => disk.readBatch(batch)),
  ...batches('readBatch', (disk, batch) => disk.readBatch(batch)),
  ...wrongOptions<Disk>('readBatch', ['signal'], (disk, options) => disk.readBatch([], options)),
  ...ranges('readable', (disk, range) => disk.readable(range)),
  ...wrongOptions<Disk>('readable', SALVAGE, (disk, options) => disk.readable(undefined, options)),
  ...ranges('map', (disk, range) => disk.map(range)),
  ...wrongOptions<Disk>('map', [...SALVAGE, 'detectZeroes'], (disk, options) => disk.map(undefined, options)),
  ...wrongOptions<Disk>('usage', OPERATION, (disk, options) => disk.usage(options)),
  ...wrongCalls<Disk>('seekData', 'offset', 'size', (disk, offset) => disk.seekData(offset)),
  ...wrongCalls<Disk>('seekHole', 'offset', 'size', (disk, offset) => disk.seekHole(offset)),
  ...wrongOptions<Disk>('check', [...OPERATION, 'deep'], (disk, options) => disk.check(options)),
  ...wrongOptions<Disk>('dehydrate', [...OPERATION, 'names'], (disk, options) => disk.dehydrate(options)),
  ...wrongCalls<Disk>('digest', 'algorithm', 'string', (disk, algorithm) => disk.digest(algorithm)),
  ...['MD5', 'sha-256', ''].map((algorithm) => ({
    method: 'digest',
    name: 'algorithm',
    value: algorithm,
    refusal: TypeError,
    call: (disk: Disk) => disk.digest(algorithm as 'SHA-1'),
  })),
  ...wrongOptions<Disk>('digest', OPERATION, (disk, options) => disk.digest('SHA-256', options)),
  ...wrongCalls<Disk>('openSnapshot', 'which', 'string', (disk, which) => disk.openSnapshot(which)),
  ...wrongCalls<Disk>('dirtyRanges', 'bitmap', 'string', (disk, bitmap) => disk.dirtyRanges(bitmap)),
  ...wrongOptions<Disk>('dirtyRanges', OPERATION, (disk, options) => disk.dirtyRanges('bitmap', options)),
];

/** Of a disk that is open for writing. */
export const WRITING: Calls = [
  ...wrongCalls<Disk>('createSnapshot', 'name', 'string', (disk, name) => disk.createSnapshot(name)),
  ...wrongOptions<Disk>('createSnapshot', OPERATION, (disk, options) => disk.createSnapshot('one', options)),
  ...['', 'a\0b', 'x'.repeat(65_536)].map((name) => ({
    method: 'createSnapshot',
    name: 'name',
    value: name,
    refusal: RangeError,
    call: (disk: Disk) => disk.createSnapshot(name),
  })),
  ...wrongCalls<Disk>('applySnapshot', 'which', 'string', (disk, which) => disk.applySnapshot(which)),
  ...wrongOptions<Disk>('applySnapshot', OPERATION, (disk, options) => disk.applySnapshot('one', options)),
  ...wrongCalls<Disk>('deleteSnapshot', 'which', 'string', (disk, which) => disk.deleteSnapshot(which)),
  ...wrongOptions<Disk>('deleteSnapshot', OPERATION, (disk, options) => disk.deleteSnapshot('one', options)),
  ...wrongCalls<Disk>('renameSnapshot', 'which', 'string', (disk, which) => disk.renameSnapshot(which, 'two')),
  ...wrongCalls<Disk>('renameSnapshot', 'name', 'string', (disk, name) => disk.renameSnapshot('one', name)),
  ...wrongCalls<Disk>('write', 'offset', 'size', (disk, offset) => disk.write(offset, new Uint8Array(1))),
  ...wrongCalls<Disk>('write', 'buffer', 'bytes', (disk, bytes) => disk.write(0, bytes)),
  ...wrongCalls<Disk>('writeBatch', 'transfers', 'batch', (disk, batch) => disk.writeBatch(batch)),
  ...batches('writeBatch', (disk, batch) => disk.writeBatch(batch)),
  ...wrongCalls<Disk>('writeZeroes', 'offset', 'size', (disk, offset) => disk.writeZeroes(offset, 1)),
  ...wrongCalls<Disk>('writeZeroes', 'length', 'size', (disk, length) => disk.writeZeroes(0, length)),
  ...wrongOptions<Disk>('writeZeroes', ['unmap'], (disk, options) => disk.writeZeroes(0, 1, options)),
  ...wrongCalls<Disk>('discard', 'offset', 'size', (disk, offset) => disk.discard(offset, 1)),
  ...wrongCalls<Disk>('discard', 'length', 'size', (disk, length) => disk.discard(0, length)),
  ...wrongCalls<Disk>('writable', 'start', 'size', (disk, start) => disk.writable({ start })),
  ...wrongOptions<Disk>('writable', [], (disk, options) => disk.writable(options)),
  ...wrongCalls<Disk>('resize', 'size', 'size', (disk, size) => disk.resize(size)),
  ...wrongOptions<Disk>('resize', [...OPERATION, 'shrink'], (disk, options) => disk.resize(512, options)),
  ...wrongOptions<Disk>('sparsify', OPERATION, (disk, options) => disk.sparsify(options)),
  ...wrongOptions<Disk>('compact', OPERATION, (disk, options) => disk.compact(options)),
];

/** Of a disk that is open for repair. */
export const REPAIRING: Calls = [
  ...wrongOptions<Disk>('repair', [...OPERATION, 'dryRun'], (disk, options) => disk.repair(options), { fix: 'all' }),
  ...[undefined, {}, { fix: 'everything' }, { fix: ['all'] }, { fix: null }].map((options) => ({
    method: 'repair',
    name: 'fix',
    value: options,
    refusal: TypeError,
    call: (disk: Disk) => disk.repair(options as never),
  })),
];

function ranges(method: string, call: (disk: Disk, range: never) => unknown): WrongCall<Disk>[] {
  return [
    ...wrongCalls<Disk>(method, 'range', 'object', call),
    ...wrongCalls<Disk>(method, 'start', 'size', (disk, start) => call(disk, { start, length: 1 } as never)),
    ...wrongCalls<Disk>(method, 'length', 'size', (disk, length) => call(disk, { start: 0, length } as never)),
  ];
}

/** Batches whose first transfer is valid and must not be carried out. */
function batches(method: string, call: (disk: Disk, batch: never) => unknown): WrongCall<Disk>[] {
  const valid = { at: 0, bytes: new Uint8Array([255]) };
  const after = (transfer: unknown) => [valid, transfer] as never;
  return [
    ...wrongCalls<Disk>(method, 'Buffer 1', 'bytes', (disk, bytes) => call(disk, after({ at: 0, bytes }))),
    ...wrongCalls<Disk>(method, 'Offset 1', 'size', (disk, at) => call(disk, after({ at, bytes: valid.bytes }))),
    ...[null, undefined, 5, {}].map((transfer) => ({
      method,
      name: 'Offset 1',
      value: transfer,
      refusal: RangeError,
      call: (disk: Disk) => call(disk, after(transfer)),
    })),
  ];
}
