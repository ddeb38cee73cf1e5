/** Repairs of damaged images: sound for us and for qemu-img afterwards, and what could be read reads the same. */
import { rmSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { bufferDevice, bufferSource, type RepairReport } from '../../src/index.js';
import { checkSource } from '../../src/verbs/check/check.js';
import { repairDevice } from '../../src/verbs/repair/repair.js';
import { bytesAfter, damagedAtRandom, damages, mixed, plans } from '../check/damages.js';
import { QemuFolder } from '../support/qemu.js';
import { qemuChecks } from '../support/qemu-check.js';
import { expectWhatWasLeft } from './what-was-left.js';

const folder = new QemuFolder('repair');
let images = 0;

/** Repairs a copy; both checks are clean then, and the report says exactly what was lost. */
async function repaired(bytes: Uint8Array): Promise<RepairReport> {
  const device = bufferDevice(bytes);
  const dry = await repairDevice(bufferDevice(bytes), { fix: 'all', dryRun: true });
  const report = await repairDevice(device, { fix: 'all' });
  const after = device.bytes();
  expect({ ...dry, before: undefined }).toEqual({ ...report, before: undefined });
  const { report: check } = await checkSource(bufferSource(after));
  expect(check.findings).toEqual([]);
  const file = `${images++}.qcow2`;
  folder.put(file, after);
  const theirs = qemuChecks(folder.path, file);
  rmSync(folder.at(file));
  expect(theirs).toMatchObject({ corruptions: 0, leaks: 0, checkErrors: 0 });
  await expectWhatWasLeft(bytes, after, report);
  return report;
}

describe('one damage', () => {
  test.each(damages)('$name', async ({ plan, harm }) => {
    const image = mixed(plan);
    await repaired(bytesAfter(harm(image), image));
  });
});

/** Images of each kind; each costs a run of qemu-img. */
const ROUNDS = Number(process.env.QCOW2_DAMAGES ?? 10);

describe('damage at random', () => {
  test.each(plans.map((plan, index) => ({ plan, index })))('of $plan', async ({ plan, index }) => {
    for (let round = 0; round < ROUNDS; round++) {
      await repaired(damagedAtRandom(plan, index * 1000 + round));
    }
  });
});
