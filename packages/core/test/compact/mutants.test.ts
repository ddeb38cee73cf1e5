/** Faults of compaction that no power cut shows, one at a time: the tests of compaction must find every one of them. */
import { describe, expect, test } from 'vitest';
import { Lru } from '../../src/engine/async/lru.js';
import { TableCache } from '../../src/engine/layer/table-cache.js';
import { WriteSteps } from '../../src/engine/write/write-steps.js';
import { WrittenTables } from '../../src/engine/write/written-tables.js';
import { References } from '../../src/verbs/compact/references.js';
import { type Fault, replaced } from '../crash/seams.js';
import { KINDS, type Kind } from '../model/kinds.js';
import { QemuFolder } from '../support/qemu.js';
import { compactAlone, compactInUse } from './compacted.js';
import { clustersUsedAgain } from './reused.js';
import { streamInPlaceOfAnother, tableInPlaceOfAnother } from './stale-caches.js';

const folder = new QemuFolder('compact-mutants');

/** Runs of the kinds before a mutant counts as not caught. */
const MAX_RUNS = 40;

/** A test that fails where a fault is, for one seed. */
type Finder = (seed: number) => Promise<unknown>;

/** A fault, and the test that must find it. */
interface CompactMutant {
  readonly name: string;
  readonly fault: Fault;
  readonly found: Finder;
}

function of(test: (folder: QemuFolder, kind: Kind, seed: number) => Promise<void>, name: string): Finder {
  const kind = KINDS.find((known) => known.name === name)!;
  return (seed) => test(folder, kind, seed);
}

/** No cache forgets a table, or none of a snapshot's disk. */
function forgetful(ofViews: boolean): Fault {
  if (ofViews) {
    return replaced(WrittenTables.prototype, 'forL1Table', (own) => {
      return function (this: WrittenTables, l1) {
        const made = own.call(this, l1);
        made.forget = () => {};
        return made;
      };
    });
  }
  return replaced(TableCache.prototype, 'forget', () => () => {});
}

const MUTANTS: readonly CompactMutant[] = [
  {
    name: 'words are switched although their table has been copied, or changed, meanwhile',
    fault: replaced(References.prototype, 'count', (own) => {
      return function* (this: References, offsets) {
        return yield* own.call(this, offsets, () => true);
      };
    }),
    found: clustersUsedAgain,
  },
  {
    name: 'a table in memory does not follow its cluster',
    fault: replaced(WrittenTables.prototype, 'move', () => () => {}),
    found: tableInPlaceOfAnother,
  },
  {
    name: 'the disk of a snapshot keeps tables whose words have changed',
    fault: forgetful(true),
    found: of(compactInUse, 'cluster_size=512, snapshots'),
  },
  {
    name: 'no cache forgets a table',
    fault: forgetful(false),
    found: of(compactInUse, 'cluster_size=512, snapshots'),
  },
  {
    name: 'a table that was checked is taken for checked in its old place alone',
    fault: replaced(WriteSteps.prototype, 'tableMoved', () => () => {}),
    found: of(compactAlone, 'cluster_size=512, empty'),
  },
  {
    name: 'an inflated cluster stays in memory of where another stream moves to',
    fault: replaced(Lru.prototype, 'delete', () => () => {}),
    found: streamInPlaceOfAnother,
  },
];

describe('the tests of compaction find', () => {
  test.each(MUTANTS)('$name', async ({ fault, found }) => {
    for (let seed = 0; seed < MAX_RUNS; seed++) {
      const restore = fault();
      try {
        await found(seed);
      } catch {
        return;
      } finally {
        restore();
      }
    }
    expect.fail(`not found in ${MAX_RUNS} runs`);
  });
});
