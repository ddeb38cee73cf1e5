/** Lists faults in the order in which compaction and sparsifying change an image, by name. */

import { SpaceAllocator } from '../../src/engine/allocation/allocator.js';
import { Refcounts } from '../../src/engine/allocation/refcounts.js';
import { type Flushes, flushes } from '../../src/engine/write/flushes.js';
import type { WriteState } from '../../src/engine/write/write-state.js';
import { Writer } from '../../src/engine/write/writer.js';
import { type Fault, replaced, together } from './seams.js';
import type { StructuralMutant } from './structural-mutants.js';
import { compact, sparsify } from './structural-verbs.js';

/** A fault that the engine has only while a verb changes the structure of an image. */
function withinVerb(make: (isWithin: () => boolean) => Fault): Fault {
  let running = 0;
  const counted = replaced(Writer.prototype, 'restructure', (own) => {
    const restructure: typeof own = function (this: Writer, work, signal) {
      return own.call(
        this,
        async (structure) => {
          running++;
          try {
            return await work(structure);
          } finally {
            running--;
          }
        },
        signal,
      ) as ReturnType<typeof own> as never;
    };
    return restructure;
  });
  return together(
    counted,
    make(() => running > 0),
  );
}

/** Clusters that the verb gives up are free at once. */
function releasedAtOnce(): Fault {
  return withinVerb((isWithin) =>
    replaced(SpaceAllocator.prototype, 'retire', (own) => {
      return function (this: SpaceAllocator, run, references) {
        own.call(this, run, references);
        if (!isWithin()) return;
        for (const missing of this.release()) throw new Error(`Blocks ${missing} are not loaded.`);
      };
    }),
  );
}

/** A flush of the verb does nothing. */
function unflushedWithin(name: keyof Flushes, when: (state: WriteState) => boolean = () => true): Fault {
  return withinVerb((isWithin) =>
    replaced(flushes, name, (own) => (state) => (isWithin() && when(state) ? undefined : own(state))),
  );
}

/** Nothing that was written after the copies is flushed before the end is cut. */
function cutBeforeFlush(): Fault {
  const leadsNowhere = ({ words, tables, dirtyL1 }: WriteState) => words.length === 0 && tables.empty && dirtyL1.empty;
  return together(unflushedWithin('rooted'), unflushedWithin('reserved', leadsNowhere));
}

/** As {@link STRUCTURAL_MUTANTS}. */
export const COMPACTION_MUTANTS: readonly StructuralMutant[] = [
  {
    name: 'a moved cluster is free before the words that led to it are flushed',
    fault: releasedAtOnce(),
    on: ['512', '4k'],
    verb: compact,
    shows: /refcount-low|reads as/,
  },
  {
    name: 'what is sparsified is free before its entries are flushed',
    fault: releasedAtOnce(),
    on: ['512', '4k', 'compressed, of 512'],
    verb: sparsify,
    shows: /refcount-low|reads as/,
  },
  {
    name: 'words lead to copies that are not flushed',
    fault: unflushedWithin('reserved'),
    on: ['512', '4k'],
    verb: compact,
    shows: /reads as|L2/,
  },
  {
    name: 'the end is cut before the words that led to it are flushed',
    fault: cutBeforeFlush(),
    on: ['512', '4k'],
    verb: compact,
    shows: /past-end|past the end|cut short/,
  },
  {
    name: 'the copy of a shared cluster is counted once',
    fault: replaced(Refcounts.prototype, 'raise', () => () => {}),
    on: ['a snapshot behind free clusters', 'a snapshot behind free clusters, of 512'],
    verb: compact,
    shows: /refcount-low|COPIED/,
  },
  {
    name: 'the header leads to a refcount table that is not whole',
    fault: unflushedWithin('grown', ({ refcounts }) => refcounts.moved),
    on: ['a growing refcount table', 'a growing refcount table + v2'],
    verb: compact,
    shows: /refcount/,
  },
  {
    name: 'the refcount table leads to a block that is not whole',
    fault: unflushedWithin('grown', ({ refcounts }) => !refcounts.moved),
    on: ['refcounts of 64 bits', 'a growing refcount table'],
    verb: compact,
    shows: /refcount/,
  },
];
