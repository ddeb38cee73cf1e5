/** Damaged images, against what `qemu-img check` says of the same damage: hand-made, one kind each, and at random. */
import { rmSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { CheckReport } from '../../src/index.js';
import { bufferSource } from '../../src/index.js';
import { checkSource } from '../../src/verbs/check/check.js';
import { dehydrated, rehydrated } from '../support/dehydrated.js';
import { numbers } from '../support/numbers.js';
import { QemuFolder } from '../support/qemu.js';
import { asQemuChecks, countOf, type QemuFigures, qemuChecks } from '../support/qemu-check.js';
import { bytesAfter, damages, harmAtRandom, mixed, plans } from './damages.js';

const folder = new QemuFolder('damage');
let images = 0;

/** Our report of a file, once qemu-img has been seen to have the same figures. */
async function judged(bytes: Uint8Array): Promise<CheckReport> {
  const file = `${images++}.qcow2`;
  folder.put(file, bytes);
  const expected = qemuChecks(folder.path, file);
  const { report } = await checkSource(bufferSource(bytes));
  rmSync(folder.at(file));
  await expectSameDehydrated(file, bytes, report, expected);
  expect(expected, 'qemu-img gives a report').not.toBeNull();
  expect(asQemuChecks(report)).toEqual(expected);
  for (const [kind, figure] of [
    ['corruption', report.corruptions],
    ['leak', report.leaks],
    ['check-error', report.checkErrors],
    ['extra', report.extra],
  ] as const) {
    expect(countOf(report, kind), kind).toBe(figure);
  }
  return report;
}

/** A dehydrated copy has the same findings and, in qemu-img, the same figures. */
async function expectSameDehydrated(
  file: string,
  bytes: Uint8Array,
  report: CheckReport,
  expected: QemuFigures | null,
): Promise<void> {
  const copy = await rehydrated(await dehydrated(bytes));
  folder.put(file, copy);
  expect((await checkSource(bufferSource(copy))).report).toEqual(report);
  expect(qemuChecks(folder.path, file)).toEqual(expected);
  rmSync(folder.at(file));
}

describe('one damage', () => {
  test.each(damages)('$name', async ({ plan, faults, harm }) => {
    const image = mixed(plan);
    const report = await judged(bytesAfter(harm(image), image));
    const found = report.findings.map(({ fault }) => fault);
    expect(found.filter((fault) => !faults.includes(fault))).toEqual([]);
    expect(faults.filter((fault) => !found.includes(fault))).toEqual([]);
    for (const finding of report.findings) expect(finding).toMatchObject({ at: expect.any(Number), what: /\S/ });
  });
});

/** Images of each kind; each costs a run of qemu-img. */
const ROUNDS = Number(process.env.QCOW2_DAMAGES ?? 10);

describe('damage at random', () => {
  test.each(plans.map((plan, index) => ({ plan, index })))('of $plan', async ({ plan, index }) => {
    for (let round = 0; round < ROUNDS; round++) {
      const next = numbers(index * 1000 + round);
      const image = mixed(plan);
      for (let i = next() % 3; i >= 0; i--) harmAtRandom(image, next);
      await judged(image.bytes);
    }
  });
});
