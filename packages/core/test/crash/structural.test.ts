/**
 * Power cuts in verbs that change the structure of an image: workloads over every kind of image call them between a
 * guest's writes, and power is cut along the log. The disk has the old size or the new one, what was added is zeros,
 * what was cut is gone, and everything else is as it must be after any power cut.
 *
 * `QCOW2_STRUCTURAL_CRASHES` sets how many images are judged of each verb, half as many of those of snapshots,
 * `QCOW2_CRASH_SEED` other workloads than the usual ones, and `QCOW2_STRUCTURAL_REPLAY` is what a failure prints.
 */
import { describe, expect, test } from 'vitest';
import { bufferDevice, bufferSource, Qcow2Image } from '../../src/index.js';
import { checkSource } from '../../src/verbs/check/check.js';
import { numbers } from '../support/numbers.js';
import { DeviceLog } from '../support/recording-device.js';
import { crashEverywhere, describeFailure, leftOver, replay } from './crash-run.js';
import { CrashWalk } from './crash-states.js';
import type { DiskKind } from './disks.js';
import { ALL_KINDS } from './kinds.js';
import { STRUCTURAL_VERBS, structuralDisk } from './structural-verbs.js';
import { type Recording, record, startOf } from './workloads.js';

const CRASHES = Number(process.env.QCOW2_STRUCTURAL_CRASHES ?? 4000);
const FIRST_SEED = Number(process.env.QCOW2_CRASH_SEED ?? 1);
const REPLAY = process.env.QCOW2_STRUCTURAL_REPLAY;
const NAMED = ALL_KINDS.map((kind, index) => [kind.name, kind, index] as const);

/** The error with the way to see it again. */
function failed(recording: Recording, verb: string, failure: Parameters<typeof describeFailure>[1]): Error {
  const text = describeFailure(recording, failure);
  return new Error(text.replace("QCOW2_CRASH_REPLAY='", `QCOW2_STRUCTURAL_REPLAY='${verb}/`));
}

describe.each(STRUCTURAL_VERBS.map((verb, turn) => [verb.name, verb, turn] as const))('%s', (name, verb, turn) => {
  const crashes = CRASHES * verb.share;
  /** Images that are judged of each kind. */
  const share = crashes / ALL_KINDS.length;
  /** Images judged along one workload: all of a kind's, and some more since the number is not exact, up to a limit. */
  const perWorkload = Math.min(100, Math.ceil(share * 1.25));
  let judgedInAll = 0;

  /** Refuses what it cannot do, and changes nothing. Returns whether it has. */
  async function refused(kind: DiskKind): Promise<boolean> {
    const start = await startOf(kind);
    const code = verb.refuses(start);
    if (code === null) return false;
    const log = new DeviceLog();
    const resolve = async ({ kind: role }: { kind: 'backing' | 'data' }) =>
      (role === 'data' ? start.data && bufferDevice(start.data) : start.backing) ?? undefined;
    const image = await Qcow2Image.open(log.add(start.image), { mode: 'readwrite', resolve });
    const { size } = image;
    for (let seed = 0; seed < 8; seed++) {
      const call = verb.draw(numbers(seed), structuralDisk(kind, start, size));
      if (call.what === `resize ${size}`) continue;
      await expect(call.run(image, {})).rejects.toMatchObject({ name: 'Qcow2Error', code });
    }
    expect(image.size).toBe(size);
    await image.close();
    expect(log.entries).toEqual([]);
    return true;
  }

  async function crashKind(kind: DiskKind, index: number): Promise<void> {
    if (await refused(kind)) return;
    // Every other seed has tight budgets.
    const first = FIRST_SEED + ((index + turn) % 2);
    for (let seed = first, judged = 0; judged < share; seed++) {
      const recording = await record(kind, seed, { verb });
      const run = await crashEverywhere(recording, perWorkload);
      if (run.failure !== null) throw failed(recording, name, run.failure);
      judged += run.judged;
      judgedInAll += run.judged;
    }
  }

  /**
   * A workload ends, and leaves no flaw; another goes on with what a power cut left of it, and loses power itself. Each
   * verb takes its turn with a third of the kinds.
   */
  async function goesOn(kind: DiskKind): Promise<void> {
    if (verb.refuses(await startOf(kind)) !== null) return;
    const first = await record(kind, FIRST_SEED + 500_000, { verb });
    await closesClean(first);
    const left = (await leftOver(first)) ?? undefined;
    const second = await record(kind, FIRST_SEED, { verb, ...(left === undefined ? {} : { left }) });
    const { failure, judged } = await crashEverywhere(second, Math.ceil(perWorkload / 4));
    judgedInAll += judged;
    if (failure !== null) throw new Error(`after workload ${first.seed}:\n${failed(second, name, failure).message}`);
  }

  if (REPLAY === undefined) {
    test.each(NAMED)('loses power, and %s is intact', (_, kind, index) => crashKind(kind, index), 600_000);
    const others = NAMED.filter((_, index) => index % STRUCTURAL_VERBS.length === turn);
    test.each(others)('leaves %s clean, or goes on with it after a power cut', (_, kind) => goesOn(kind), 600_000);
    test('has lost power as often as requested', () => {
      expect(judgedInAll).toBeGreaterThanOrEqual(crashes);
    });
  } else if (REPLAY.startsWith(`${name}/`)) {
    test(`replay of ${REPLAY}`, async () => {
      const [, kindName, seed, position, choice] = REPLAY.split('/');
      const kind = ALL_KINDS.find((known) => known.name === kindName);
      if (kind === undefined) throw new Error(`There is no kind "${kindName}".`);
      const recording = await record(kind, Number(seed), { verb });
      const failure = await replay(recording, Number(position), Number(choice));
      if (failure !== null) throw failed(recording, name, failure);
    });
  }
});

/** What a workload leaves that ended as it should has no flaw, and no leaks but those that were there before. */
async function closesClean({ log, start, kind, seed }: Recording): Promise<void> {
  const { leaks } = (await checkSource(bufferSource(start.image))).report;
  const walk = new CrashWalk(log);
  while (walk.next !== undefined) walk.step();
  await walk.crashed(walk.complete(), async ([image]) => {
    const { report } = await checkSource(image!);
    const found = report.findings.filter(({ kind }) => kind !== 'leak').map(({ fault, places }) => [fault, places]);
    expect(found, `"${kind.name}", workload ${seed}`).toEqual([]);
    expect(report.leaks, `leaks of "${kind.name}", workload ${seed}`).toBeLessThanOrEqual(leaks);
  });
}
