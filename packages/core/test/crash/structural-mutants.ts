/** Lists faults in the order in which verbs change the structure of an image, by name. */
import { SpaceAllocator } from '../../src/engine/allocation/allocator.js';
import { MetadataMap } from '../../src/engine/allocation/metadata-map.js';
import { TrackedBitmaps } from '../../src/engine/write/bitmaps/tracked-bitmaps.js';
import { flushes } from '../../src/engine/write/flushes.js';
import { stages } from '../../src/engine/write/write-back.js';
import type { WriteState } from '../../src/engine/write/write-state.js';
import { WriteSteps } from '../../src/engine/write/write-steps.js';
import { WrittenHeader } from '../../src/engine/write/written-header.js';
import { ZeroSteps } from '../../src/engine/write/zero-steps.js';
import { ResizedBitmaps } from '../../src/verbs/resize/resized-bitmaps.js';
import { References } from '../../src/verbs/snapshots/references.js';
import { type Fault, replaced, together } from './seams.js';
import { resizeFar, resizeWithin, type StructuralVerb, snapshot } from './structural-verbs.js';

/** A fault, the kinds of image on which it is looked for, and the verb that workloads call to show it. */
export interface StructuralMutant {
  readonly name: string;
  readonly fault: Fault;
  readonly on: readonly string[];
  readonly verb: StructuralVerb;
  /** What the judge says of it: it may complain of something else before. */
  readonly shows: RegExp;
}

/** The size in a header's sector, bytes. */
const sizeIn = (sector: DataView): bigint => sector.getBigUint64(24);

/** The new size of a disk that shrinks comes after a write-back that gives up what is cut. */
function sizeAfterRelease(): Fault {
  let postponed: ReturnType<WrittenHeader['change']> = null;
  return together(
    replaced(WrittenHeader.prototype, 'change', (own) => {
      return function (this: WrittenHeader, edit) {
        let shrinks = false;
        const transfer = own.call(this, (sector) => {
          const before = sizeIn(sector);
          edit(sector);
          shrinks = sizeIn(sector) < before;
        });
        if (!shrinks) return transfer;
        postponed = transfer;
        return null;
      };
    }),
    replaced(stages, 'release', (own) => {
      return function* (state, content) {
        yield* own(state, content);
        if (postponed === null) return;
        yield state.device.write([postponed]);
        postponed = null;
        yield state.device.flush();
      };
    }),
  );
}

/** Flushes between a longer L1 table and the header that leads to it do nothing. */
function l1NotWhole(): Fault {
  let growing = false;
  const none = (own: (state: WriteState) => unknown) => (state: WriteState) => (growing ? undefined : own(state));
  return together(
    replaced(MetadataMap.prototype, 'add', (own) => {
      return function (this: MetadataMap, kind, at, length) {
        growing ||= kind === 'L1 table';
        own.call(this, kind, at, length);
      };
    }),
    ...(['grown', 'reserved', 'rooted'] as const).map((flush) =>
      replaced(flushes, flush, (own) => none(own) as typeof own),
    ),
    replaced(flushes, 'l1Switched', (own) => (state) => {
      growing = false;
      return own(state);
    }),
  );
}

/** The old L1 table is free as soon as the header refers to the new one, which is not on the medium yet. */
function l1ReleasedAtOnce(): Fault {
  let switched = false;
  return together(
    replaced(flushes, 'l1Switched', () => () => {
      switched = true;
    }),
    replaced(SpaceAllocator.prototype, 'retire', (own) => {
      return function (this: SpaceAllocator, run) {
        own.call(this, run);
        if (!switched) return;
        switched = false;
        for (const missing of this.release()) throw new Error(`Blocks ${missing} are not loaded.`);
      };
    }),
  );
}

/** An L2 table that a snapshot shares is unmapped in its place. */
function sharedInPlace(): Fault {
  return replaced(WriteSteps.prototype, 'unmapFrom', (own) => {
    return function* (this: WriteSteps, index, start) {
      const { writableTables } = this;
      this.writableTables = function* (first, last) {
        return (yield* this.loadTables(first, last)) as DataView[];
      };
      yield* own.call(this, index, start);
      this.writableTables = writableTables;
    };
  });
}

/** What a snapshot shares is counted once the header refers to it. */
function raisedAfterSwitch(): Fault {
  let raise: (() => Generator) | null = null;
  return together(
    replaced(References.prototype, 'raise', (own) => {
      return function* (this: References) {
        raise = () => own.call(this);
      };
    }),
    replaced(flushes, 'snapshotsSwitched', (own) => (state) => {
      const done = own(state);
      // Every block is in memory, since it was read before.
      for (const wait of raise?.() ?? []) if (wait) throw new Error('A block is not loaded.');
      raise = null;
      return done;
    }),
  );
}

/** Faults that are more than a flush that is missing. */
export const STRUCTURAL_MUTANTS: readonly StructuralMutant[] = [
  {
    name: 'what is cut is given up before the size is switched',
    fault: sizeAfterRelease(),
    on: ['512', '4k'],
    verb: resizeWithin,
    shows: /guest byte \d+ reads as/,
  },
  {
    name: 'a new L1 table is not whole before the switch',
    fault: l1NotWhole(),
    on: ['many tables'],
    verb: resizeFar,
    shows: /L1|reads as/,
  },
  {
    name: 'the old L1 table is released before the switch',
    fault: l1ReleasedAtOnce(),
    on: ['512', 'many tables'],
    verb: resizeFar,
    shows: /refcount-low|L1/,
  },
  {
    name: 'bitmaps that do not follow are not in use while the size is switched',
    fault: replaced(ResizedBitmaps.prototype, 'markInUse', () => function* () {}),
    on: ['bitmaps + compressed', 'a bitmap across sectors'],
    verb: resizeFar,
    shows: /bitmap ".*" (has a table|marks)/,
  },
  {
    name: 'bitmaps that follow are not in use while the disk is resized',
    fault: replaced(TrackedBitmaps.prototype, 'flagTransfers', (own) => {
      return function (this: TrackedBitmaps, inUse: boolean) {
        const transfers = own.call(this, inUse);
        return inUse ? [] : transfers;
      };
    }),
    on: ['bitmaps + a snapshot'],
    verb: resizeWithin,
    shows: /to be trusted/,
  },
  {
    name: 'an L2 table that a snapshot shares is unmapped in its place',
    fault: sharedInPlace(),
    on: ['a snapshot'],
    verb: resizeWithin,
    shows: /of the snapshot reads as/,
  },
  {
    name: 'refcounts rise after the header refers to the snapshot',
    fault: raisedAfterSwitch(),
    on: ['4k'],
    verb: snapshot,
    shows: /refcount-low|copied/,
  },
  {
    name: 'what is cut stays mapped',
    fault: replaced(WriteSteps.prototype, 'unmapFrom', () => function* () {}),
    on: ['512', '4k'],
    verb: resizeWithin,
    shows: /reads as/,
  },
  {
    name: 'what was added is not zeroed',
    fault: replaced(ZeroSteps.prototype, 'next', (own) => {
      return function* (this: ZeroSteps, rest, end, unmap) {
        // Those of the guest count what is tracked from the beginning.
        if (rest.tracked && rest.at % 512 === 0 && end > rest.at) rest.at = end;
        else yield* own.call(this, rest, end, unmap);
      };
    }),
    on: ['a shorter backing file', 'v2 over a backing file'],
    verb: resizeWithin,
    shows: /reads as/,
  },
];
