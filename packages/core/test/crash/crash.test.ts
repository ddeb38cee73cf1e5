/**
 * Power cuts: workloads are recorded on devices that log every write, and then power is cut along the log, at every
 * flush and in between. Whatever part of the unflushed writes is on the medium, the image must be sound and hold what
 * was acknowledged.
 *
 * `QCOW2_CRASHES` sets how many images are judged in all, `QCOW2_CRASH_SEED` other workloads than the usual ones, and
 * `QCOW2_CRASH_REPLAY` is what a failure prints.
 */
import { describe, expect, test } from 'vitest';
import { bufferSource } from '../../src/index.js';
import { checkSource } from '../../src/verbs/check/check.js';
import { crashEverywhere, describeFailure, leftOver, replay } from './crash-run.js';
import { CrashWalk } from './crash-states.js';
import type { DiskKind } from './disks.js';
import { ALL_KINDS } from './kinds.js';
import { record } from './workloads.js';

const CRASHES = Number(process.env.QCOW2_CRASHES ?? 3000);
const FIRST_SEED = Number(process.env.QCOW2_CRASH_SEED ?? 1);
const REPLAY = process.env.QCOW2_CRASH_REPLAY;
/** Images judged along one workload: of each kind at least two, since every other one has tight budgets. */
const PER_WORKLOAD = Math.min(200, Math.ceil(CRASHES / ALL_KINDS.length / 2));

/** And along one that goes on with what another left. */
const PER_SECOND = Math.min(20, PER_WORKLOAD);

/** How often a workload goes on with what another left. */
const TWICE = Math.ceil(CRASHES / 6000);

const NAMED = ALL_KINDS.map((kind) => [kind.name, kind] as const);
let judgedInAll = 0;

async function crashKind(kind: DiskKind): Promise<void> {
  const share = CRASHES / ALL_KINDS.length;
  for (let seed = FIRST_SEED, judged = 0; judged < share; seed++) {
    const recording = await record(kind, seed);
    const run = await crashEverywhere(recording, PER_WORKLOAD);
    if (run.failure !== null) throw new Error(describeFailure(recording, run.failure));
    judged += run.judged;
    judgedInAll += run.judged;
  }
}

/** Other workloads go on with what power cuts left, its leaks included, and lose power themselves. */
async function cutTwice(kind: DiskKind): Promise<void> {
  for (let round = 0; round < TWICE; round++) {
    const first = await record(kind, FIRST_SEED + 500_000 + round);
    const left = await leftOver(first);
    if (left === null) continue;
    const second = await record(kind, FIRST_SEED + round, { left });
    const { failure } = await crashEverywhere(second, PER_SECOND);
    if (failure !== null) throw new Error(`after workload ${first.seed}:\n${describeFailure(second, failure)}`);
  }
}

/** What a workload leaves that ended as it should is without a flaw. */
async function closesClean(kind: DiskKind): Promise<void> {
  const { log, start } = await record(kind, FIRST_SEED);
  const { leaks } = (await checkSource(bufferSource(start.image))).report;
  const walk = new CrashWalk(log);
  while (walk.next !== undefined) walk.step();
  await walk.crashed(walk.complete(), async ([image]) => {
    const bytes = new Uint8Array(image!.size);
    await image!.read([{ at: 0, bytes }]);
    const { report, context } = await checkSource(bufferSource(bytes));
    expect(report).toMatchObject({ corruptions: 0, leaks, checkErrors: 0, extra: 0 });
    expect(context.header.incompatibleFeatures).not.toContain(0);
  });
}

if (REPLAY !== undefined)
  describe('replay', () => {
    test(`${REPLAY}`, async () => {
      const [name, seed, position, choice] = REPLAY!.split('/');
      const kind = ALL_KINDS.find((known) => known.name === name);
      if (kind === undefined) throw new Error(`There is no kind "${name}".`);
      const recording = await record(kind, Number(seed));
      const failure = await replay(recording, Number(position), Number(choice));
      if (failure !== null) throw new Error(describeFailure(recording, failure));
    });
  });

if (REPLAY === undefined)
  describe('a power cut', () => {
    test.each(NAMED)('leaves %s intact', (_, kind) => crashKind(kind), 600_000);
    test.each(NAMED)('and another one leave %s intact', (_, kind) => cutTwice(kind), 600_000);
    test.each(NAMED)('does not happen, and %s is intact', (_, kind) => closesClean(kind));
    test('was simulated as often as requested', () => {
      expect(judgedInAll).toBeGreaterThanOrEqual(CRASHES);
    });
  });
