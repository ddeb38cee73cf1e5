/** Engines with one fault each in the order of their writes: the power cuts must find every one of them. */
import { describe, expect, test } from 'vitest';
import { crashEverywhere } from './crash-run.js';
import { ALL_KINDS } from './kinds.js';
import { type Mutant, mutantEngine } from './mutant-engine.js';
import { record } from './workloads.js';

/** A mutant, and the kinds of image on which it is looked for. */
interface KnownMutant extends Mutant {
  readonly on: readonly string[];
}

/** Images judged before a mutant counts as not caught. */
const MOST = 4000;

const MUTANTS: readonly KnownMutant[] = [
  {
    name: 'no flush between the refcounts and the roots',
    file: 'engine/write/write-back.ts',
    edits: [['  yield device.flush();\n  if (!counting) return;\n  refcounts.linked();', '  refcounts.linked();']],
    on: ['4k'],
  },
  {
    name: 'the data file is not flushed before the tables',
    file: 'engine/write/write-back.ts',
    edits: [['  if (data !== null && data !== device) yield data.flush();\n', '']],
    on: ['a data file'],
  },
  {
    name: 'new refcount blocks are not flushed before the pointers to them',
    file: 'engine/write/write-back.ts',
    edits: [['  yield device.flush();\n}\n\nfunction* reserve', '}\n\nfunction* reserve']],
    on: ['refcounts of 64 bits'],
  },
  {
    name: 'a new refcount table is not flushed before the header points to it',
    file: 'engine/write/write-back.ts',
    edits: [
      [
        '  if (transfers.length === 0) return;\n  yield device.write(transfers);\n  yield device.flush();',
        '  yield device.write(transfers);\n  if (transfers.length > 0 && !refcounts.moved) yield device.flush();',
      ],
    ],
    on: ['a growing refcount table'],
  },
  {
    name: 'the roots are not flushed before refcounts fall',
    file: 'engine/write/write-back.ts',
    edits: [['  yield device.flush();\n  tables.written();', '  tables.written();']],
    on: ['4k'],
  },
  {
    name: 'release before the roots',
    file: 'engine/write/write-back.ts',
    edits: [
      [
        '  yield* roots(state, bitmaps);\n  yield* release(state, counted);',
        '  yield* release(state, counted);\n  yield* roots(state, bitmaps);',
      ],
    ],
    on: ['4k'],
  },
  {
    name: 'L2 tables before their data',
    file: 'engine/write/write-back.ts',
    edits: [
      [
        '  yield* reserve(state, counted, bitmaps);\n  yield* roots(state, bitmaps);',
        '  yield* roots(state, bitmaps);\n  yield* reserve(state, counted, bitmaps);',
      ],
    ],
    on: ['4k'],
  },
  {
    name: 'new L2 tables together with the L1 entries that point to them',
    file: 'engine/write/write-back.ts',
    edits: [
      ['const transfers = tables.transfers(true);', 'const transfers: Transfer[] = [];'],
      [
        'const transfers = tables.transfers(false);',
        'const transfers = tables.transfers(true).concat(tables.transfers(false));',
      ],
    ],
    on: ['512', 'many tables'],
  },
  {
    name: 'reuse out of quarantine',
    file: 'engine/allocation/allocator.ts',
    edits: [
      [
        '    this.quarantine.set(cluster, (this.quarantine.get(cluster) ?? 0) + 1);',
        '    if (this.#refcounts.lower(cluster, 1)) this.#freed(cluster);',
      ],
    ],
    on: ['512', '4k'],
  },
  {
    name: 'unknown autoclear bits are not off before the first change',
    file: 'engine/write/write-back.ts',
    edits: [['  yield state.device.flush();\n  if (state.untracked', '  if (state.untracked']],
    on: ['an unknown autoclear bit'],
  },
  {
    name: 'bitmaps are not in use before the first change',
    file: 'engine/write/write-back.ts',
    edits: [['const transfers = flagTransfers(state, true);', 'const transfers: Transfer[] = [];']],
    on: ['bitmaps'],
  },
  {
    name: 'bitmaps are no longer in use and their bits are not there',
    file: 'engine/write/write-back.ts',
    edits: [["closing || reason === 'bitmaps'", "reason === 'bitmaps'"]],
    on: ['bitmaps'],
  },
  {
    name: 'the dirty bit comes after the first change',
    file: 'engine/write/write-back.ts',
    edits: [['  if (state.lazy) setIncompatible(state.header, INCOMPATIBLE.dirty, true);\n', '']],
    on: ['lazy refcounts'],
  },
  {
    name: 'with lazy refcounts, an old refcount table is released before the header points to the new one',
    file: 'engine/write/write-back.ts',
    edits: [['  return refcounts.moved || refcounts.blocks > mostBlocks;', '  return refcounts.blocks > mostBlocks;']],
    on: ['lazy refcounts + a growing refcount table', 'a growing refcount table, lazy'],
  },
];

describe('the power cuts find', () => {
  test.each(MUTANTS)('$name', async (mutant) => {
    const engine = await mutantEngine(mutant);
    let judged = 0;
    for (let seed = 1; judged < MOST; seed++) {
      for (const kind of ALL_KINDS.filter(({ name }) => mutant.on.includes(name))) {
        const run = await crashEverywhere(await record(kind, seed, engine), 200);
        if (run.failure !== null) return;
        judged += run.judged;
      }
    }
    expect.fail(`not found in ${judged} images`);
  });

  test('nothing in an engine without a fault', async () => {
    const engine = await mutantEngine({ name: 'none', file: 'engine/write/write-back.ts', edits: [] });
    const kind = ALL_KINDS.find(({ name }) => name === '4k')!;
    const run = await crashEverywhere(await record(kind, 1, engine), 200);
    expect(run.failure).toBeNull();
  });

  test('no snippet that is not there', async () => {
    const missing = { name: 'none', file: 'engine/write/write-back.ts', edits: [['not in there', '']] as const };
    await expect(mutantEngine(missing)).rejects.toThrow('stands 0 times');
  });
});
