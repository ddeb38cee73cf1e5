/** Faults in the order of the engine's writes, one at a time: the power cuts must find every one of them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { SpaceAllocator } from '../../src/engine/allocation/allocator.js';
import { TrackedBitmaps } from '../../src/engine/write/bitmaps/tracked-bitmaps.js';
import { DirtyTables } from '../../src/engine/write/dirty-tables.js';
import { type Flushes, flushes } from '../../src/engine/write/flushes.js';
import { stageOrder, stages } from '../../src/engine/write/write-back.js';
import type { WriteState } from '../../src/engine/write/write-state.js';
import { isQcow2Error } from '../../src/index.js';
import { COMPACTION_MUTANTS } from './compaction-mutants.js';
import { crashEverywhere } from './crash-run.js';
import type { DiskKind } from './disks.js';
import { ALL_KINDS } from './kinds.js';
import { type Fault, reordered, replaced, unflushed, withContent } from './seams.js';
import { STRUCTURAL_MUTANTS } from './structural-mutants.js';
import { resizeFar, resizeWithin, type StructuralVerb, snapshot } from './structural-verbs.js';
import { type RecordOptions, record } from './workloads.js';

/** A fault, and the kinds of image on which it is looked for. */
interface Mutant {
  readonly name: string;
  readonly fault: Fault;
  readonly on: readonly string[];
  /** The verb that the workloads call, which shows it. */
  readonly verb?: StructuralVerb;
  /** What the judge says of it, where it may complain of something else before. */
  readonly shows?: RegExp;
}

/** How many images were judged, and what is wrong with one of them. */
interface Found {
  readonly judged: number;
  readonly what: string | null;
}

/** Images judged before a mutant counts as not caught. */
const MAX_JUDGED = 4000;

/**
 * What goes wrong without each flush, and on which kinds of image. Null where no power cut leaves an image unsound: a
 * closed image without `released` may be called clean and have leaks, without `trimmed` still be marked as in use. No
 * workload has untracked bitmaps (`bitmaps/untracked.test.ts` has) or damage (`writing/rules.test.ts`).
 *
 * After `l1Switched`, `bitmapsResized`, `snapshotsSwitched` and `snapshotApplied` clusters go into quarantine, and no
 * write-back releases them before it has flushed: that the old L1 table must not be free any sooner is a mutant of its
 * own. No reader uses the bits past the end of the disk, which `bitmapsResized` has cleared. Without `fileCut` the file
 * may be longer, and is cut when it is flushed next.
 */
const UNFLUSHED: Readonly<Record<keyof Flushes, Omit<Mutant, 'fault'> | null>> = {
  marked: { name: 'unknown autoclear bits are not off before the first change', on: ['an unknown autoclear bit'] },
  bitmapsDropped: null,
  grown: { name: 'new refcount blocks are not flushed before the pointers to them', on: ['refcounts of 64 bits'] },
  guestData: { name: 'the data file is not flushed before the tables', on: ['a data file'] },
  reserved: { name: 'no flush between the refcounts and the roots', on: ['4k'] },
  rooted: { name: 'the roots are not flushed before refcounts fall', on: ['4k'] },
  released: null,
  trimmed: null,
  corruptMarked: null,
  l1Switched: null,
  dataFileResized: {
    name: 'the data file has its new size after the header',
    on: ['a raw data file', 'lazy refcounts + a raw data file'],
    verb: resizeWithin,
    shows: /reads as/,
  },
  bitmapsMarked: {
    name: 'bitmaps that do not follow are in use after the size is switched',
    on: ['bitmaps + compressed'],
    verb: resizeFar,
    shows: /bitmap ".*" (has a table|marks)/,
  },
  sizeSwitched: { name: 'a disk is resized, and its new size is not there', on: ['4k'], verb: resizeWithin },
  bitmapTableSwitched: {
    name: 'a directory entry says how long the new table of a bitmap is before it says where',
    on: ['a bitmap across sectors'],
    verb: resizeFar,
    shows: /refcount-low|past-end|bitmap table/,
  },
  bitmapsResized: null,
  snapshotsSwitched: null,
  snapshotApplied: null,
  countsLowered: {
    name: 'refcounts do not fall before COPIED says that they are one',
    on: ['4k', '512'],
    verb: snapshot,
    shows: /copied-set/,
  },
  fileCut: null,
};

/** Carries out what a stage does, with lazy refcounts taken for others. */
function* notLazy(stage: typeof stages.mark, state: WriteState): ReturnType<typeof stages.mark> {
  const changing = state as { lazy: boolean };
  const { lazy } = changing;
  changing.lazy = false;
  try {
    yield* stage(state);
  } finally {
    changing.lazy = lazy;
  }
}

const MUTANTS: readonly Mutant[] = [
  ...Object.entries(UNFLUSHED).flatMap(([flush, mutant]) =>
    mutant === null ? [] : [{ ...mutant, fault: unflushed(flush as keyof Flushes) }],
  ),
  {
    name: 'a new refcount table is not flushed before the header points to it',
    fault: unflushed('grown', ({ refcounts }) => refcounts.moved),
    on: ['a growing refcount table'],
  },
  {
    name: 'release before the roots',
    fault: reordered('grow', 'reserve', 'release', 'roots', 'trim'),
    on: ['4k'],
  },
  {
    name: 'L2 tables before their data',
    fault: reordered('grow', 'roots', 'reserve', 'release', 'trim'),
    on: ['4k'],
  },
  {
    name: 'new L2 tables together with the L1 entries that point to them',
    fault: replaced(DirtyTables.prototype, 'transfers', (own) => {
      return function (this: DirtyTables, fresh: boolean) {
        return fresh ? [] : [...own.call(this, true), ...own.call(this, false)];
      };
    }),
    on: ['512', 'many tables'],
  },
  {
    name: 'reuse out of quarantine',
    fault: replaced(SpaceAllocator.prototype, 'retire', (own) => {
      return function (this: SpaceAllocator, run) {
        own.call(this, run);
        for (const missing of this.release()) throw new Error(`Blocks ${missing} are not loaded.`);
      };
    }),
    on: ['512', '4k'],
  },
  {
    name: 'bitmaps are not in use before the first change',
    fault: replaced(TrackedBitmaps.prototype, 'flagTransfers', (own) => {
      return function (this: TrackedBitmaps, inUse: boolean) {
        const transfers = own.call(this, inUse);
        return inUse ? [] : transfers;
      };
    }),
    on: ['bitmaps'],
  },
  {
    name: 'bitmaps are no longer in use and their bits are not there',
    fault: withContent((content) => (content.closing ? { ...content, bitmaps: null } : content)),
    on: ['bitmaps'],
  },
  {
    name: 'the dirty bit comes after the first change',
    fault: replaced(stages, 'mark', (own) => (state) => notLazy(own, state)),
    on: ['lazy refcounts'],
  },
  {
    name: 'with lazy refcounts, an old refcount table is released before the header points to the new one',
    fault: withContent((content, { lazy, refcounts, maxBlocks }) => {
      const counting = content.closing || !lazy || refcounts.blocks > maxBlocks;
      return { ...content, counting: content.counting && counting };
    }),
    on: ['lazy refcounts + a growing refcount table', 'a growing refcount table, lazy'],
  },
];

/** What is wrong with an image after a workload and a power cut, unless the engine has refused it before. */
async function findFault(kind: DiskKind, seed: number, options: RecordOptions): Promise<Found> {
  try {
    const { judged, failure } = await crashEverywhere(await record(kind, seed, options), 100);
    return { judged, what: failure?.what ?? null };
  } catch (error) {
    if (!isQcow2Error(error, 'corrupt')) throw error;
    return { judged: 0, what: error.message };
  }
}

const ALL_MUTANTS = [...MUTANTS, ...STRUCTURAL_MUTANTS, ...COMPACTION_MUTANTS];

describe('the power cuts find', () => {
  test.each(ALL_MUTANTS)('$name', async ({ fault, on, verb, shows = /./ }) => {
    const kinds = ALL_KINDS.filter(({ name }) => on.includes(name));
    expect(on.filter((wanted) => !kinds.some(({ name }) => name === wanted))).toEqual([]);
    let judged = 0;
    for (let seed = 1; judged < MAX_JUDGED; seed++) {
      for (const kind of kinds) {
        const found = await findFault(kind, seed, { fault, ...(verb === undefined ? {} : { verb }) });
        if (found.what !== null && shows.test(found.what)) return;
        judged += found.judged;
      }
    }
    expect.fail(`not found in ${judged} images`);
  });
});

const WRITING = fileURLToPath(new URL('../../src/engine/write', import.meta.url));

describe('the seams', () => {
  test('are the only places of the writing side that flush a device', () => {
    const files = readdirSync(WRITING, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
    const flushing = files.filter((file) => readFileSync(join(WRITING, file), 'utf8').includes('.flush()'));
    // The device itself passes the call on.
    expect(flushing.sort()).toEqual(['flushes.ts', 'tracked-device.ts']);
  });

  test('must exist', () => {
    expect(replaced(stages, 'gone' as 'roots', (own) => own)).toThrow('no function "gone"');
    expect(reordered('grow', 'roots')).toThrow('The stages are');
  });

  test('are restored after a fault, also if the workload fails', async () => {
    const before = { flushes: { ...flushes }, stages: { ...stages }, order: [...stageOrder] };
    const faults = [unflushed('rooted'), reordered('trim', 'release', 'roots', 'reserve', 'grow')];
    const broken = withContent(() => {
      throw new Error('broken');
    });
    for (const fault of faults) fault()();
    const kind = ALL_KINDS.find(({ name }) => name === '4k')!;
    await expect(record(kind, 1, { fault: broken })).rejects.toThrow('broken');
    expect({ flushes: { ...flushes }, stages: { ...stages }, order: [...stageOrder] }).toEqual(before);
  });
});
