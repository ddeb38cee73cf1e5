/**
 * The table of a disk's verbs that are sent to the worker, one row each. The page's methods and the worker's calls are
 * generated from it.
 */
import type { Disk, Range } from 'qcow2';
import {
  boundsOf,
  requireDigest,
  requireInside,
  requireKind,
  requireOptions,
  requireReference,
  requireRepair,
  requireResize,
  requireSnapshot,
  requireSnapshotName,
  requireZeroing,
} from 'qcow2/internal';
import { packExtents, unpackExtents } from './packed-extents.js';
import { packRanges, unpackRanges } from './packed-ranges.js';

/**
 * The methods of a disk without a row. Reads and writes are hot paths with messages of their own. A writable is a
 * series of writes. A snapshot opens another image. Closing an image ends its calls.
 */
type Unlisted = 'read' | 'readBatch' | 'write' | 'writeBatch' | 'writable' | 'openSnapshot' | 'close';

/** The names of an interface's methods that have rows. */
type VerbsOf<D> = {
  [Name in keyof D & string]: D[Name] extends (...args: never) => unknown ? Exclude<Name, Unlisted> : never;
}[keyof D & string];

/** Whether the options are those of salvage. */
type SalvageOf<Options> = 'onLost' extends keyof Options
  ? { readonly salvage: true }
  : { readonly salvage?: undefined };

/** How a method's arguments are sent. */
type ArgumentsOf<Args extends readonly unknown[]> =
  Required<Args> extends readonly [...infer Before, infer Last]
    ? 'signal' extends keyof NonNullable<Last>
      ? { readonly arguments: Before['length']; readonly options: true } & SalvageOf<NonNullable<Last>>
      : { readonly arguments: Required<Args>['length']; readonly options: false }
    : { readonly arguments: 0; readonly options: false };

/** Packs items into numbers, which are transferred. */
export interface Packing<Item> {
  readonly pack: (items: readonly Item[]) => Float64Array<ArrayBuffer>;
  readonly unpack: (packed: Float64Array) => Item[];
}

/** A verb with a single result. */
interface CalledRow {
  /**
   * `'value'`: the result is sent. `'change'`: the image may have changed; its state is sent with the result, and it
   * counts as unflushed. `'flush'`: as a change, but when it resolves nothing before it is unflushed.
   */
  readonly kind: 'value' | 'change' | 'flush';
}

/** A verb that returns an async iterator: its items are sent in packets. */
interface ItemsRow<Item> {
  readonly kind: 'items';
  readonly packing: Packing<Item>;
}

/** A verb that returns a stream of bytes. */
interface BytesRow {
  readonly kind: 'bytes';
}

/** The check of a verb's arguments. */
interface CheckedRow<Args extends readonly unknown[]> {
  /** Throws for invalid arguments before anything is sent, given the size of the disk in bytes. */
  readonly validate: (size: number, ...args: Args) => void;
}

type KindOf<Result> =
  Result extends ReadableStream<Uint8Array>
    ? BytesRow
    : Result extends AsyncIterable<infer Item>
      ? ItemsRow<Item>
      : Result extends Promise<unknown>
        ? CalledRow
        : never;

/**
 * The row of a method: `arguments` counts those before the options, `options` is true if they include a signal,
 * `salvage` if they include `onLost`.
 */
type RowOf<Method> = Method extends (...args: infer Args) => infer Result
  ? ArgumentsOf<Args> & KindOf<Result> & CheckedRow<Args>
  : never;

/** A row for each method of an interface, except the unlisted ones. */
export type VerbTable<D = Disk> = { readonly [Name in VerbsOf<D>]: RowOf<D[Name]> };

/** A verb that has a row. */
export type Verb = keyof VerbTable;

/** The verbs with a single result. */
export type CalledVerb = { [Name in Verb]: VerbTable[Name] extends CalledRow ? Name : never }[Verb];

/** The verbs whose results the page fetches in packets. */
export type CursorVerb = Exclude<Verb, CalledVerb>;

/** Any row, where the verb is not known. */
export type Row = {
  readonly arguments: number;
  readonly options: boolean;
  readonly salvage?: true | undefined;
} & CheckedRow<readonly unknown[]> &
  (CalledRow | ItemsRow<unknown> | BytesRow);

/** To add a verb, declare a method in `Disk`, implement it in the engine's image, and add its row here. */
export const VERBS: VerbTable = {
  map: {
    kind: 'items',
    arguments: 1,
    options: true,
    salvage: true,
    packing: { pack: packExtents, unpack: unpackExtents },
    validate: validateRange,
  },
  dirtyRanges: {
    kind: 'items',
    arguments: 1,
    options: true,
    packing: { pack: packRanges, unpack: unpackRanges },
    validate(_, bitmap, options) {
      requireOptions(options);
      requireKind('bitmap', bitmap, 'a string');
    },
  },
  readable: { kind: 'bytes', arguments: 1, options: true, salvage: true, validate: validateRange },
  dehydrate: { kind: 'bytes', arguments: 0, options: true, validate: validateOptions },
  stats: { kind: 'value', arguments: 0, options: false, validate: () => {} },
  seekData: { kind: 'value', arguments: 1, options: false, validate: validateOffset },
  seekHole: { kind: 'value', arguments: 1, options: false, validate: validateOffset },
  digest: {
    kind: 'value',
    arguments: 1,
    options: true,
    validate: (_, algorithm, options) => requireDigest(algorithm, options),
  },
  check: { kind: 'value', arguments: 0, options: true, validate: validateOptions },
  usage: { kind: 'value', arguments: 0, options: true, validate: validateOptions },
  repair: { kind: 'flush', arguments: 0, options: true, validate: (_, options) => requireRepair(options) },
  writeZeroes: {
    kind: 'change',
    arguments: 3,
    options: false,
    validate(size, offset, length, options) {
      requireZeroing(options);
      requireInside(offset, length, size);
    },
  },
  discard: {
    kind: 'change',
    arguments: 2,
    options: false,
    validate: (size, offset, length) => requireInside(offset, length, size),
  },
  resize: {
    kind: 'flush',
    arguments: 1,
    options: true,
    validate: (_, size, options) => requireResize(size, options),
  },
  sparsify: { kind: 'flush', arguments: 0, options: true, validate: validateOptions },
  compact: { kind: 'flush', arguments: 0, options: true, validate: validateOptions },
  createSnapshot: {
    kind: 'flush',
    arguments: 1,
    options: true,
    validate: (_, name, options) => requireSnapshot(name, options),
  },
  applySnapshot: {
    kind: 'flush',
    arguments: 1,
    options: true,
    validate: (_, which, options) => requireReference(which, options),
  },
  deleteSnapshot: {
    kind: 'flush',
    arguments: 1,
    options: true,
    validate: (_, which, options) => requireReference(which, options),
  },
  renameSnapshot: {
    kind: 'flush',
    arguments: 2,
    options: true,
    validate(_, which, name, options) {
      requireReference(which, options);
      requireSnapshotName(name);
    },
  },
  flush: { kind: 'flush', arguments: 0, options: false, validate: () => {} },
};

function validateOptions(_: number, options: unknown): void {
  requireOptions(options);
}

function validateOffset(size: number, offset: number): void {
  requireInside(offset, 0, size);
}

function validateRange(size: number, range: Range | undefined, options: unknown): void {
  requireOptions(options);
  boundsOf(range, size);
}

/** The row of a verb. */
export function rowOf(verb: Verb): Row {
  return VERBS[verb] as Row;
}
