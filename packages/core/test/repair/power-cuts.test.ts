/**
 * Power cuts in the middle of repairs. What could be read before can be read, no fault is of a new kind, and a second
 * repair completes the first. Faults put into the repair are found.
 */
import { describe, expect, test } from 'vitest';
import { DeviceMedium } from '../../src/verbs/repair/medium.js';
import { repairSteps } from '../../src/verbs/repair/repair-steps.js';
import { bytesAfter, damagedAtRandom, damages, mixed, plans } from '../check/damages.js';
import { type Fault, replaced } from '../crash/seams.js';
import { violationOf } from './cut-repairs.js';

/** How many states of the medium are looked at, over all images. */
const CRASHES = Number(process.env.QCOW2_REPAIR_CRASHES ?? 5000);
/** Random damages of each kind of image. */
const RANDOM = 5;

const images: { name: string; bytes: Uint8Array }[] = [
  ...damages.map(({ name, plan, harm }) => {
    const image = mixed(plan);
    return { name, bytes: bytesAfter(harm(image), image) };
  }),
  ...plans.flatMap((plan, kind) =>
    Array.from({ length: RANDOM }, (_, round) => ({
      name: `kind ${kind}, damage ${round}`,
      bytes: damagedAtRandom(plan, kind * 100 + round + 7),
    })),
  ),
];

describe('a power cut in the middle of a repair', () => {
  test.each(images)('of $name', async ({ bytes }) => {
    expect(await violationOf(bytes, CRASHES / images.length)).toBeNull();
  });
});

/** States that are looked at of each image until a fault is found. */
const MUTANT_STATES = 30;

const mutants: readonly { name: string; fault: Fault }[] = [
  { name: 'nothing is flushed', fault: replaced(DeviceMedium.prototype, 'flush', () => async () => {}) },
  { name: 'the image is not marked', fault: replaced(repairSteps, 'markUnderRepair', () => async () => {}) },
  {
    name: 'the marks are cleared before the last check',
    fault: replaced(repairSteps, 'raiseRefcounts', (own) => async (context, checked, added) => {
      await own(context, checked, added);
      await repairSteps.clearMarks(context.medium, context.header.version);
    }),
  },
  {
    name: 'refcounts fall before entries lead to the copies',
    fault: replaced(repairSteps, 'raiseRefcounts', (own) => async (context, checked) => {
      await repairSteps.lowerRefcounts(context, checked);
      await context.medium.flush();
      await own(context, checked, new Map());
    }),
  },
  {
    name: 'copies are not counted before entries lead to them',
    fault: replaced(repairSteps, 'raiseRefcounts', (own) => (context, checked) => own(context, checked, new Map())),
  },
];

/** Small ones first: each fault is found on one of them. */
const bySize = [...images].sort((a, b) => a.bytes.length - b.bytes.length);

describe('it is noticed that', () => {
  test.each(mutants)('$name', async ({ fault }) => {
    const restore = fault();
    try {
      let violation: string | null = null;
      for (const { bytes } of bySize) {
        violation ??= await violationOf(bytes, MUTANT_STATES).catch((error: unknown) => String(error));
      }
      expect(violation).not.toBeNull();
    } finally {
      restore();
    }
  });
});
