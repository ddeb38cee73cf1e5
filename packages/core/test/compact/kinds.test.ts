/** Compacts images of every kind: qemu-img and the check find nothing, and nothing reads differently. */
import { describe, test } from 'vitest';
import { KINDS } from '../model/kinds.js';
import { QemuFolder } from '../support/qemu.js';
import { compactAlone, compactInUse } from './compacted.js';

const RUNS = Number(process.env.QCOW2_COMPACT_RUNS ?? 1);

const folder = new QemuFolder('compact');
const NAMED = KINDS.map((kind) => [kind.name, kind] as const);

describe('compaction', () => {
  test.each(NAMED)('of %s leaves it as short as it can be', async (_, kind) => {
    for (let run = 0; run < RUNS; run++) await compactAlone(folder, kind, run * 1000 + kind.name.length);
  });

  test.each(NAMED)('of %s leaves it whole while it is in use', async (_, kind) => {
    for (let run = 0; run < RUNS; run++) await compactInUse(folder, kind, run * 1000 + kind.name.length + 7);
  });
});
